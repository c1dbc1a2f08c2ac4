//! Text for the shell: either the input as it is, or pieces that mean something to a shell, so that garbage of them gets far.

use test_fuzz::Input;

/// Most pieces of one text.
const PIECES_MAX: usize = 24;

#[rustfmt::skip]
const PIECES: &[&str] = &[
    "if", "then", "else", "elif", "fi", "for", "in", "do", "done", "while", "until", "case", "esac", ";;", "function", "time",
    "a", "b", "x", "echo", "x=1", "$", "$x", "${", "${x", "}", "$(", ")", "$((", "((", "))", "(", "{", "[", "]", "[[", "]]",
    "`", "'", "\"", "\\", "|", "||", "|&", "&", "&&", ";", "<", ">", "<<", "<<-", "<<<", ">>", "2>&1", "<(", ">(", "*", "?",
    "!", "! ", "~", "~/", "#", "##", "%", "%%", ":", ":-", ":=", ":+", ":?", "-", "+", "=", "==", "=~", "@", "@Q", "@E",
    ",", "^", "^^", ",,", ".", "..", "/", "//", "0", "1", "08", "9", "16#ff", "99999999999999999999", "9223372036854775807",
    "-1", "\n", "\t", " ", " ", "\u{0}", "é", "☃", "$'", "$\"", "\\x", "\\u", "\\", "EOF", "<<EOF\n", "{1..3}", "{a,b}",
    "{a..z..2}", "${x//b/c}", "${#", "${!", "${x:1:2}", "${x[@]}", "$@", "$*", "$#", "$?", "a[", "a=(", "+=(", "<<=", "**",
    "++", "--", "?(", "*(", "+(", "@(", "!(", "[!", "[:alpha:]", "-eq", "-z", "-a",
];

/// The text that the input means.
pub fn text(input: &mut Input<'_>) -> String {
    if input.one_in(4) {
        return String::from_utf8_lossy(input.rest()).into_owned();
    }
    let mut text = String::new();
    for _ in 0..PIECES_MAX {
        if input.is_empty() {
            break;
        }
        text.push_str(input.one_of(PIECES));
    }
    text
}
