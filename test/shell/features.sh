# The shell's language, feature by feature. What this writes is compared with what bash writes.
cd "$WORK"
shopt -s extglob expand_aliases
echo '== quoting'
echo a   b 'c   d' "e   f" g\ \ h $'i\tj'
x='two  words'; echo $x "$x" '$x' "\$x" "${x}s"
echo "a'b" 'a"b' "`echo back`" "$(echo "nested $(echo deeper)")"
echo '' "" a"" b'' | od -An -c
echo "über ☃ 漢字" ${#x}
echo '== parameters'
unset u; e=
echo "${u-1}${u:-2}${e-3}${e:-4}${x+5}${e:+6}${u+7}"
echo "${u:=set}" "$u"
for a in "${e:-a  b}" "${e:-a	"b  c"   d}" ${e:-f   g} "${x:+ h  }" "${e:-$(echo 'i  j')  k}"; do printf '<%s>' "$a"; done; echo
y="${e:-a   b
 c}"; echo "$y" "${y//  /__}"; cat <<-EOF
	${e:-a  b}	tab
	EOF
p=/usr/local/lib/name.tar.gz
echo "${p##*/}" "${p%%.*}" "${p#*/}" "${p%.*}" "${p/local/LOCAL}" "${p//l/L}" "${p/#\/usr/U}" "${p/%gz/xz}"
echo "${p:5}" "${p:5:5}" "${p: -6}" "${p: -6:3}" "${p^^}" "${p^}"
set -- one 'two three' four
echo $# "$1" "$2" "$*" "$@" "${@:2}" "${*:1:2}"
for a in "$@"; do printf '<%s>' "$a"; done; echo
for a in $*; do printf '<%s>' "$a"; done; echo
IFS=:; echo "$*"; y=a:b::c; for a in $y; do printf '<%s>' "$a"; done; echo; unset IFS
IFS=:-; y=$*; echo "$y"; y=x$*y; echo "$y"; y=$@; echo "$y"; case $* in one:*) echo joined;; esac; cat <<< $*; y=${u2-$*}; echo "$y"
IFS=; y=$*; echo "$y"; y=$@; echo "$y"; unset IFS; y=$*; echo "$y"
for a in ${u2-e f} ${u2:-g "h  i" j} ${u2-'k l'}; do printf '<%s>' "$a"; done; echo
shift; echo "$1" $#; shift 2; echo "$#[$*]"
for a in "$@"; do echo never; done
n=x; echo "${!n}"
echo '== arrays'
l=(a 'b c' d); l[5]=f; l+=(g)
echo "${l[1]}" "${#l[@]}" "${!l[@]}" "${l[-1]}"
for a in "${l[@]}"; do printf '<%s>' "$a"; done; echo
echo "${l[@]:1:2}" "${l[*]/b/B}"
declare -A m; m[one]=1; m['two words']=2; echo "${m[one]}" "${m[two words]}" "${#m[@]}"
unset 'l[1]'; echo "${l[*]}"
echo '== arithmetic'
echo $((1+2*3)) $((2**10)) $((7/2)) $((-7%3)) $((1<<4|3)) $((5>3&&2>3)) $((x=5,x+1)) $((0x1f)) $((010))
i=1; ((i++)); ((i+=5)); echo $i $((i++)) $i $((--i)) $((i>5?10:20))
for ((i=0;i<3;i++)); do printf '%s ' $i; done; echo
let 'k=3*4' && echo $k
declare -i z=2+3; z+=4; echo $z
f() { echo in f; { echo $((1/0)); } 2>/dev/null; echo never; }
f || echo never; echo never
echo "status $?"
for i in 1 2; do { echo $i $((2**-1)) $((1%0)); } 2>/dev/null; echo never; done; echo never
echo "status $?"; ( { x=$((1+)); } 2>/dev/null; echo never ); echo "status $?"
{ ((1/0)) || let 1/0 || [[ 1/0 -eq 0 ]] || echo "caught $?"; } 2>/dev/null
v=$( { l=(1 2); echo ${l[1/0]}; } 2>/dev/null; echo never ); echo "[$v] $?"
{ eval 'echo $((1/0)); echo never'; } 2>/dev/null; echo "eval $?"
echo '== braces and globs'
echo {a,b}{1,2} {1..5} {5..1..2} {a..e} x{,y}z {single} a{b
mkdir -p g/sub; touch g/one.txt g/two.txt g/.hidden g/sub/three.txt 'g/with space'
echo g/*.txt g/* g/*/*.txt g/[a-o]* g/no*such g/.h* "g/*"
cd g; for f in *; do echo "[$f]"; done; cd ..
echo g/!(one).txt g/@(one|two).txt
set -f; echo g/*; set +f
echo '== control'
if false; then echo no; elif true; then echo elif; else echo no; fi
i=0; while [ $i -lt 3 ]; do i=$((i+1)); [ $i = 2 ] && continue; echo "while $i"; done
until [ $i -ge 5 ]; do i=$((i+1)); [ $i = 5 ] && break; done; echo "until $i"
for a in 1 2; do for b in 1 2 3; do [ $b = 2 ] && continue 2; echo "$a$b"; done; done
for a in 1 2; do for b in 1 2 3; do break 2; done; done; echo "left $a$b"
case abc in a?d) echo no;; x|a*c) echo case;; *) echo no;; esac
case x in x) echo one;& y) echo two;; z) echo no;; esac
case "$(echo q)" in [p-r]) echo range;;& q) echo again;; esac
true && echo and || echo or; false && echo and || echo or; ! false; echo $?
{ echo group; echo of; } | tr a-z A-Z
( x=inner; cd g; echo "$x ${PWD##*/}" ); echo "$x ${PWD##*/}" | wc -w | tr -d ' '
echo '== functions'
f() { local x=local; echo "f $x $1 $#"; g=global; return 3; }
f a b; echo "$? $x $g"
fact() { if [ $1 -le 1 ]; then echo 1; else echo $(( $1 * $(fact $(( $1 - 1 ))) )); fi; }
fact 10
function other { echo "other $*"; }
other 1 2; unset -f other; type other >/dev/null 2>&1; echo $?
h() { echo in h; } ; h | cat; echo "$(h)"
echo '== redirections'
echo one > out; echo two >> out; cat out; cat < out | wc -l | tr -d ' '
{ echo to out; echo to err >&2; } > out 2>&1; cat out
ls /no/such/place 2> err; [ -s err ] && echo has err; echo gone 2>/dev/null >/dev/null
echo both &> out; cat out; exec 3> out; echo third >&3; exec 3>&-; cat out
cat <<EOF
here $x $(echo sub) $((1+1)) "quoted" \$x
EOF
cat <<'EOF'
raw $x $(echo sub)
EOF
cat <<-EOF
	tabs	gone
	EOF
cat <<< "here string $x"
while read -r a b; do echo "[$a|$b]"; done <<EOF
first second third
  lead  trail  
single
EOF
while read -r line; do echo "line $line"; cat > /dev/null; done < out
echo '== pipelines'
printf 'c\nb\na\n' | sort | head -2 | tr '\n' ' '; echo
seq 1 5 | while read n; do echo $((n*n)); done | tail -1
echo "$(seq 1 100 | wc -l | tr -d ' ')" "${PIPESTATUS[0]}"
false | true; echo "$? ${PIPESTATUS[*]}"; set -o pipefail; false | true; echo $?; set +o pipefail
yes | head -2
v=$(printf 'a\nb\n\n\n'); echo "[$v]"
echo start | { read w; echo "got $w"; }; f() { read w; echo "f got $w"; }; echo fn | f
seq 1 20000 | tail -1; big=$(seq 1 20000); echo ${#big}
echo '== background'
(echo background; exit 4) & wait $!; echo $?
sleep 0.1 & p=$!; wait $p; echo "waited $?"
for i in 1 2 3; do (exit $i) & done; wait; echo all
sleep 0.5 & jobs | while read -r job; do case $job in *sleep*) echo listed;; esac; done
[ "$(jobs -p | tail -1)" = $! ] && echo "same job"; wait
echo '== status'
false; echo $?; (exit 7); echo $?; nosuchcommand 2>/dev/null; echo $?; v=$(exit 9); echo $?
sh -c 'echo "$0 $1"; exit 3' name arg; echo $?
sh -c 'set -e; echo before; false; echo after'; echo $?
sh -c 'set -e; if false; then :; fi; false || true; ! true; echo alive'; echo $?
sh -c 'trap "echo bye" EXIT; echo hi; exit 5'; echo $?
sh -c 'set -u; echo $nothing; echo not here' 2>/dev/null; [ $? -ne 0 ] && echo unset is an error
echo $LINENO "$(echo $LINENO
  echo $LINENO)" $((LINENO+1)); eval 'echo $LINENO'
f() {
  echo $LINENO
}; f; eval f; (echo $LINENO)
for i in $LINENO; do echo $i \
  $LINENO
  { echo $LINENO; } | cat
done
printf '\necho $LINENO\nf\n' > l.sh; . ./l.sh; echo $LINENO
printf 'echo $LINENO\nif true\nthen\n echo $LINENO\nfi\necho $LINENO\n' | sh
echo '== builtins'
printf '%s|%5d|%-5s|%05.1f|%x|%c|%%|%b\n' str 42 ab 3.14159 255 xyz 'a\tb'
printf '%s %s\n' a b c; printf '%q\n' "it's"; printf '%03d\n' 7 8
echo -n no newline; echo; echo -e 'tab\there\0101'; echo -E 'raw\t'
test -d g -a -f out && echo files; [ -z "" ] && [ -n a ] && [ a != b ] && [ 2 -gt 1 ] && echo tests
[[ abc == a* && ! abc == b* && abc =~ ^a(.)c$ && 3 -lt 10 ]] && echo "extended ${BASH_REMATCH[1]}"
export E=exported; sh -c 'echo $E'; E=temporary sh -c 'echo $E'; echo $E
a=1 b=2; readonly r=5; (r=6) 2>/dev/null; echo "$a$b$r"
echo 'x y z' | (read a b; echo "$b"); IFS=, read a b c <<< '1,2,3'; echo $a$b$c
read -t 60 a b <<< 'in time'; echo "$? $a $b"; read -t 0 < out; echo $?; read -t soon 2> /dev/null; echo $?
eval 'echo eval "$x"'; printf 'sourced=yes\nreturn 6\necho no\n' > s.sh; . ./s.sh; echo "$? $sourced"
while getopts ab:c o -a -b val -c rest; do echo "$o $OPTARG"; done; echo $OPTIND
command -v cd echo; type -t if f cat cd; cd g; cd - > /dev/null; cd ./g/../g/sub; echo "${PWD##*/}"; cd ../..
printf '#!/bin/sh\necho script "$0" "$1"\n' > script.sh; sh script.sh arg; sh ./script.sh direct
mapfile -t lines < out; echo ${#lines[@]}; set -- $(echo a b c); echo $#
cat <(echo process) <(echo substitution); sort <(echo b) <(echo a) | head -2
# Bash does not wait for these; the last one can be waited for, if the shell itself has started it.
await() { for a in 1 2 3 4 5 6 7 8 9; do test -s $1 && break; sleep 0.3; done; cat $1; }
seq 3 > >(sort -r > reversed); await reversed
seq 4 | tee >(wc -l > counted) | tail -1; await counted
{ echo b; (exit 3); } > >(tr b c > translated); echo "status $?"; wait $!; cat translated
f() { echo out; echo error >&2; }; f > >(cat > outs) 2> >(tr a-z A-Z > errors); wait $!; cat errors
f() { :; echo passed on > "$1"; }; f >(cat > passed); wait $!; cat passed
f() { :; { :; } < /dev/null; true | true; cat "$1"; }; f <(echo handed in); f <(echo again)
true | echo last; echo first | echo second | cat; echo to file | echo kept > out; cat out
alias hey='echo aliased'
hey you; unalias hey; echo "$-" | tr -dc e; : ignored; true; echo end
