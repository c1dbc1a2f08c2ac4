;; One component calls another: what is passed is copied from one memory to the other, and from one encoding to the other.

(component
  ;; Memory and a heap that only grows.
  (core module $libc
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and
        (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (memory.copy (local.get $at) (local.get $old) (select
        (local.get $old-size)
        (local.get $size)
        (i32.lt_u (local.get $old-size) (local.get $size))))
      (local.get $at)))
  (component $Callee
    (alias outer 1 $libc (core module $libc))
    (core module $m
      (import "libc" "memory" (memory 1))
      (func (export "echo") (param i32 i32) (result i32)
        (i32.store (i32.const 0) (local.get 0))
        (i32.store (i32.const 4) (local.get 1))
        (i32.const 0))
      (func (export "units") (param i32 i32) (result i32) (local.get 1)))
    (core instance $utf8 (instantiate $libc))
    (core instance $m-utf8 (instantiate $m (with "libc" (instance $utf8))))
    (func (export "echo-utf8") (param "s" string) (result string) (canon lift (core func $m-utf8 "echo")
      string-encoding=utf8 (memory $utf8 "memory") (realloc (func $utf8 "realloc"))))
    (func (export "units-utf8") (param "s" string) (result u32) (canon lift (core func $m-utf8 "units")
      string-encoding=utf8 (memory $utf8 "memory") (realloc (func $utf8 "realloc"))))
    (core instance $utf16 (instantiate $libc))
    (core instance $m-utf16 (instantiate $m (with "libc" (instance $utf16))))
    (func (export "echo-utf16") (param "s" string) (result string) (canon lift (core func $m-utf16 "echo")
      string-encoding=utf16 (memory $utf16 "memory") (realloc (func $utf16 "realloc"))))
    (func (export "units-utf16") (param "s" string) (result u32) (canon lift (core func $m-utf16 "units")
      string-encoding=utf16 (memory $utf16 "memory") (realloc (func $utf16 "realloc"))))
    (core instance $latin1 (instantiate $libc))
    (core instance $m-latin1 (instantiate $m (with "libc" (instance $latin1))))
    (func (export "echo-latin1") (param "s" string) (result string) (canon lift (core func $m-latin1 "echo")
      string-encoding=latin1+utf16 (memory $latin1 "memory") (realloc (func $latin1 "realloc"))))
    (func (export "units-latin1") (param "s" string) (result u32) (canon lift (core func $m-latin1 "units")
      string-encoding=latin1+utf16 (memory $latin1 "memory") (realloc (func $latin1 "realloc")))))
  (component $Caller
    (alias outer 1 $libc (core module $libc))
    (import "callee" (instance $callee
      (export "echo-utf8" (func (param "s" string) (result string)))
      (export "units-utf8" (func (param "s" string) (result u32)))
      (export "echo-utf16" (func (param "s" string) (result string)))
      (export "units-utf16" (func (param "s" string) (result u32)))
      (export "echo-latin1" (func (param "s" string) (result string)))
      (export "units-latin1" (func (param "s" string) (result u32)))))
    (core module $m
      (import "libc" "memory" (memory 1))
      (import "" "echo" (func $echo (param i32 i32 i32)))
      (import "" "units" (func $units (param i32 i32) (result i32)))
      (func (export "echo") (param i32 i32) (result i32)
        (call $echo (local.get 0) (local.get 1) (i32.const 16))
        (i32.const 16))
      (func (export "units") (param i32 i32) (result i32) (call $units (local.get 0) (local.get 1))))
    (core instance $utf8 (instantiate $libc))
    (core func $echo-utf8-utf8 (canon lower (func $callee "echo-utf8")
      string-encoding=utf8 (memory $utf8 "memory") (realloc (func $utf8 "realloc"))))
    (core func $units-utf8-utf8 (canon lower (func $callee "units-utf8") string-encoding=utf8 (memory $utf8 "memory")))
    (core instance $m-utf8-utf8 (instantiate $m
      (with "libc" (instance $utf8))
      (with "" (instance (export "echo" (func $echo-utf8-utf8)) (export "units" (func $units-utf8-utf8))))))
    (func (export "utf8-utf8") (param "s" string) (result string) (canon lift (core func $m-utf8-utf8 "echo")
      string-encoding=utf8 (memory $utf8 "memory") (realloc (func $utf8 "realloc"))))
    (func (export "units-utf8-utf8") (param "s" string) (result u32) (canon lift (core func $m-utf8-utf8 "units")
      string-encoding=utf8 (memory $utf8 "memory") (realloc (func $utf8 "realloc"))))
    (core func $echo-utf8-utf16 (canon lower (func $callee "echo-utf16")
      string-encoding=utf8 (memory $utf8 "memory") (realloc (func $utf8 "realloc"))))
    (core func $units-utf8-utf16 (canon lower (func $callee "units-utf16") string-encoding=utf8 (memory $utf8 "memory")))
    (core instance $m-utf8-utf16 (instantiate $m
      (with "libc" (instance $utf8))
      (with "" (instance (export "echo" (func $echo-utf8-utf16)) (export "units" (func $units-utf8-utf16))))))
    (func (export "utf8-utf16") (param "s" string) (result string) (canon lift (core func $m-utf8-utf16 "echo")
      string-encoding=utf8 (memory $utf8 "memory") (realloc (func $utf8 "realloc"))))
    (func (export "units-utf8-utf16") (param "s" string) (result u32) (canon lift (core func $m-utf8-utf16 "units")
      string-encoding=utf8 (memory $utf8 "memory") (realloc (func $utf8 "realloc"))))
    (core func $echo-utf8-latin1 (canon lower (func $callee "echo-latin1")
      string-encoding=utf8 (memory $utf8 "memory") (realloc (func $utf8 "realloc"))))
    (core func $units-utf8-latin1 (canon lower (func $callee "units-latin1") string-encoding=utf8 (memory $utf8 "memory")))
    (core instance $m-utf8-latin1 (instantiate $m
      (with "libc" (instance $utf8))
      (with "" (instance (export "echo" (func $echo-utf8-latin1)) (export "units" (func $units-utf8-latin1))))))
    (func (export "utf8-latin1") (param "s" string) (result string) (canon lift (core func $m-utf8-latin1 "echo")
      string-encoding=utf8 (memory $utf8 "memory") (realloc (func $utf8 "realloc"))))
    (func (export "units-utf8-latin1") (param "s" string) (result u32) (canon lift (core func $m-utf8-latin1 "units")
      string-encoding=utf8 (memory $utf8 "memory") (realloc (func $utf8 "realloc"))))
    (core instance $utf16 (instantiate $libc))
    (core func $echo-utf16-utf8 (canon lower (func $callee "echo-utf8")
      string-encoding=utf16 (memory $utf16 "memory") (realloc (func $utf16 "realloc"))))
    (core func $units-utf16-utf8 (canon lower (func $callee "units-utf8") string-encoding=utf16 (memory $utf16 "memory")))
    (core instance $m-utf16-utf8 (instantiate $m
      (with "libc" (instance $utf16))
      (with "" (instance (export "echo" (func $echo-utf16-utf8)) (export "units" (func $units-utf16-utf8))))))
    (func (export "utf16-utf8") (param "s" string) (result string) (canon lift (core func $m-utf16-utf8 "echo")
      string-encoding=utf16 (memory $utf16 "memory") (realloc (func $utf16 "realloc"))))
    (func (export "units-utf16-utf8") (param "s" string) (result u32) (canon lift (core func $m-utf16-utf8 "units")
      string-encoding=utf16 (memory $utf16 "memory") (realloc (func $utf16 "realloc"))))
    (core func $echo-utf16-utf16 (canon lower (func $callee "echo-utf16")
      string-encoding=utf16 (memory $utf16 "memory") (realloc (func $utf16 "realloc"))))
    (core func $units-utf16-utf16 (canon lower (func $callee "units-utf16") string-encoding=utf16 (memory $utf16 "memory")))
    (core instance $m-utf16-utf16 (instantiate $m
      (with "libc" (instance $utf16))
      (with "" (instance (export "echo" (func $echo-utf16-utf16)) (export "units" (func $units-utf16-utf16))))))
    (func (export "utf16-utf16") (param "s" string) (result string) (canon lift (core func $m-utf16-utf16 "echo")
      string-encoding=utf16 (memory $utf16 "memory") (realloc (func $utf16 "realloc"))))
    (func (export "units-utf16-utf16") (param "s" string) (result u32) (canon lift (core func $m-utf16-utf16 "units")
      string-encoding=utf16 (memory $utf16 "memory") (realloc (func $utf16 "realloc"))))
    (core func $echo-utf16-latin1 (canon lower (func $callee "echo-latin1")
      string-encoding=utf16 (memory $utf16 "memory") (realloc (func $utf16 "realloc"))))
    (core func $units-utf16-latin1 (canon lower (func $callee "units-latin1") string-encoding=utf16 (memory $utf16 "memory")))
    (core instance $m-utf16-latin1 (instantiate $m
      (with "libc" (instance $utf16))
      (with "" (instance (export "echo" (func $echo-utf16-latin1)) (export "units" (func $units-utf16-latin1))))))
    (func (export "utf16-latin1") (param "s" string) (result string) (canon lift (core func $m-utf16-latin1 "echo")
      string-encoding=utf16 (memory $utf16 "memory") (realloc (func $utf16 "realloc"))))
    (func (export "units-utf16-latin1") (param "s" string) (result u32) (canon lift (core func $m-utf16-latin1 "units")
      string-encoding=utf16 (memory $utf16 "memory") (realloc (func $utf16 "realloc"))))
    (core instance $latin1 (instantiate $libc))
    (core func $echo-latin1-utf8 (canon lower (func $callee "echo-utf8")
      string-encoding=latin1+utf16 (memory $latin1 "memory") (realloc (func $latin1 "realloc"))))
    (core func $units-latin1-utf8 (canon lower (func $callee "units-utf8") string-encoding=latin1+utf16 (memory $latin1 "memory")))
    (core instance $m-latin1-utf8 (instantiate $m
      (with "libc" (instance $latin1))
      (with "" (instance (export "echo" (func $echo-latin1-utf8)) (export "units" (func $units-latin1-utf8))))))
    (func (export "latin1-utf8") (param "s" string) (result string) (canon lift (core func $m-latin1-utf8 "echo")
      string-encoding=latin1+utf16 (memory $latin1 "memory") (realloc (func $latin1 "realloc"))))
    (func (export "units-latin1-utf8") (param "s" string) (result u32) (canon lift (core func $m-latin1-utf8 "units")
      string-encoding=latin1+utf16 (memory $latin1 "memory") (realloc (func $latin1 "realloc"))))
    (core func $echo-latin1-utf16 (canon lower (func $callee "echo-utf16")
      string-encoding=latin1+utf16 (memory $latin1 "memory") (realloc (func $latin1 "realloc"))))
    (core func $units-latin1-utf16 (canon lower (func $callee "units-utf16") string-encoding=latin1+utf16 (memory $latin1 "memory")))
    (core instance $m-latin1-utf16 (instantiate $m
      (with "libc" (instance $latin1))
      (with "" (instance (export "echo" (func $echo-latin1-utf16)) (export "units" (func $units-latin1-utf16))))))
    (func (export "latin1-utf16") (param "s" string) (result string) (canon lift (core func $m-latin1-utf16 "echo")
      string-encoding=latin1+utf16 (memory $latin1 "memory") (realloc (func $latin1 "realloc"))))
    (func (export "units-latin1-utf16") (param "s" string) (result u32) (canon lift (core func $m-latin1-utf16 "units")
      string-encoding=latin1+utf16 (memory $latin1 "memory") (realloc (func $latin1 "realloc"))))
    (core func $echo-latin1-latin1 (canon lower (func $callee "echo-latin1")
      string-encoding=latin1+utf16 (memory $latin1 "memory") (realloc (func $latin1 "realloc"))))
    (core func $units-latin1-latin1 (canon lower (func $callee "units-latin1") string-encoding=latin1+utf16 (memory $latin1 "memory")))
    (core instance $m-latin1-latin1 (instantiate $m
      (with "libc" (instance $latin1))
      (with "" (instance (export "echo" (func $echo-latin1-latin1)) (export "units" (func $units-latin1-latin1))))))
    (func (export "latin1-latin1") (param "s" string) (result string) (canon lift (core func $m-latin1-latin1 "echo")
      string-encoding=latin1+utf16 (memory $latin1 "memory") (realloc (func $latin1 "realloc"))))
    (func (export "units-latin1-latin1") (param "s" string) (result u32) (canon lift (core func $m-latin1-latin1 "units")
      string-encoding=latin1+utf16 (memory $latin1 "memory") (realloc (func $latin1 "realloc")))))
  (instance $callee (instantiate $Callee))
  (instance $caller (instantiate $Caller (with "callee" (instance $callee))))
  (export "from" (instance $caller)))

(assert_return (invoke "from#utf8-utf8" (str.const "")) (str.const ""))
(assert_return (invoke "from#utf8-utf8" (str.const "plain")) (str.const "plain"))
(assert_return (invoke "from#utf8-utf8" (str.const "é")) (str.const "é"))
(assert_return (invoke "from#utf8-utf8" (str.const "né €𐍈!")) (str.const "né €𐍈!"))
(assert_return (invoke "from#utf8-utf8" (str.const "\u{ff}\u{100}")) (str.const "\u{ff}\u{100}"))
(assert_return (invoke "from#units-utf8-utf8" (str.const "é")) (u32.const 2))
(assert_return (invoke "from#units-utf8-utf8" (str.const "né €𐍈!")) (u32.const 12))
(assert_return (invoke "from#units-utf8-utf8" (str.const "\u{ff}\u{100}")) (u32.const 4))

(assert_return (invoke "from#utf8-utf16" (str.const "")) (str.const ""))
(assert_return (invoke "from#utf8-utf16" (str.const "plain")) (str.const "plain"))
(assert_return (invoke "from#utf8-utf16" (str.const "é")) (str.const "é"))
(assert_return (invoke "from#utf8-utf16" (str.const "né €𐍈!")) (str.const "né €𐍈!"))
(assert_return (invoke "from#utf8-utf16" (str.const "\u{ff}\u{100}")) (str.const "\u{ff}\u{100}"))
(assert_return (invoke "from#units-utf8-utf16" (str.const "é")) (u32.const 1))
(assert_return (invoke "from#units-utf8-utf16" (str.const "né €𐍈!")) (u32.const 7))
(assert_return (invoke "from#units-utf8-utf16" (str.const "\u{ff}\u{100}")) (u32.const 2))

(assert_return (invoke "from#utf8-latin1" (str.const "")) (str.const ""))
(assert_return (invoke "from#utf8-latin1" (str.const "plain")) (str.const "plain"))
(assert_return (invoke "from#utf8-latin1" (str.const "é")) (str.const "é"))
(assert_return (invoke "from#utf8-latin1" (str.const "né €𐍈!")) (str.const "né €𐍈!"))
(assert_return (invoke "from#utf8-latin1" (str.const "\u{ff}\u{100}")) (str.const "\u{ff}\u{100}"))
(assert_return (invoke "from#units-utf8-latin1" (str.const "é")) (u32.const 1))
(assert_return (invoke "from#units-utf8-latin1" (str.const "né €𐍈!")) (u32.const 0x80000007))
(assert_return (invoke "from#units-utf8-latin1" (str.const "\u{ff}\u{100}")) (u32.const 0x80000002))

(assert_return (invoke "from#utf16-utf8" (str.const "")) (str.const ""))
(assert_return (invoke "from#utf16-utf8" (str.const "plain")) (str.const "plain"))
(assert_return (invoke "from#utf16-utf8" (str.const "é")) (str.const "é"))
(assert_return (invoke "from#utf16-utf8" (str.const "né €𐍈!")) (str.const "né €𐍈!"))
(assert_return (invoke "from#utf16-utf8" (str.const "\u{ff}\u{100}")) (str.const "\u{ff}\u{100}"))
(assert_return (invoke "from#units-utf16-utf8" (str.const "é")) (u32.const 2))
(assert_return (invoke "from#units-utf16-utf8" (str.const "né €𐍈!")) (u32.const 12))
(assert_return (invoke "from#units-utf16-utf8" (str.const "\u{ff}\u{100}")) (u32.const 4))

(assert_return (invoke "from#utf16-utf16" (str.const "")) (str.const ""))
(assert_return (invoke "from#utf16-utf16" (str.const "plain")) (str.const "plain"))
(assert_return (invoke "from#utf16-utf16" (str.const "é")) (str.const "é"))
(assert_return (invoke "from#utf16-utf16" (str.const "né €𐍈!")) (str.const "né €𐍈!"))
(assert_return (invoke "from#utf16-utf16" (str.const "\u{ff}\u{100}")) (str.const "\u{ff}\u{100}"))
(assert_return (invoke "from#units-utf16-utf16" (str.const "é")) (u32.const 1))
(assert_return (invoke "from#units-utf16-utf16" (str.const "né €𐍈!")) (u32.const 7))
(assert_return (invoke "from#units-utf16-utf16" (str.const "\u{ff}\u{100}")) (u32.const 2))

(assert_return (invoke "from#utf16-latin1" (str.const "")) (str.const ""))
(assert_return (invoke "from#utf16-latin1" (str.const "plain")) (str.const "plain"))
(assert_return (invoke "from#utf16-latin1" (str.const "é")) (str.const "é"))
(assert_return (invoke "from#utf16-latin1" (str.const "né €𐍈!")) (str.const "né €𐍈!"))
(assert_return (invoke "from#utf16-latin1" (str.const "\u{ff}\u{100}")) (str.const "\u{ff}\u{100}"))
(assert_return (invoke "from#units-utf16-latin1" (str.const "é")) (u32.const 1))
(assert_return (invoke "from#units-utf16-latin1" (str.const "né €𐍈!")) (u32.const 0x80000007))
(assert_return (invoke "from#units-utf16-latin1" (str.const "\u{ff}\u{100}")) (u32.const 0x80000002))

(assert_return (invoke "from#latin1-utf8" (str.const "")) (str.const ""))
(assert_return (invoke "from#latin1-utf8" (str.const "plain")) (str.const "plain"))
(assert_return (invoke "from#latin1-utf8" (str.const "é")) (str.const "é"))
(assert_return (invoke "from#latin1-utf8" (str.const "né €𐍈!")) (str.const "né €𐍈!"))
(assert_return (invoke "from#latin1-utf8" (str.const "\u{ff}\u{100}")) (str.const "\u{ff}\u{100}"))
(assert_return (invoke "from#units-latin1-utf8" (str.const "é")) (u32.const 2))
(assert_return (invoke "from#units-latin1-utf8" (str.const "né €𐍈!")) (u32.const 12))
(assert_return (invoke "from#units-latin1-utf8" (str.const "\u{ff}\u{100}")) (u32.const 4))

(assert_return (invoke "from#latin1-utf16" (str.const "")) (str.const ""))
(assert_return (invoke "from#latin1-utf16" (str.const "plain")) (str.const "plain"))
(assert_return (invoke "from#latin1-utf16" (str.const "é")) (str.const "é"))
(assert_return (invoke "from#latin1-utf16" (str.const "né €𐍈!")) (str.const "né €𐍈!"))
(assert_return (invoke "from#latin1-utf16" (str.const "\u{ff}\u{100}")) (str.const "\u{ff}\u{100}"))
(assert_return (invoke "from#units-latin1-utf16" (str.const "é")) (u32.const 1))
(assert_return (invoke "from#units-latin1-utf16" (str.const "né €𐍈!")) (u32.const 7))
(assert_return (invoke "from#units-latin1-utf16" (str.const "\u{ff}\u{100}")) (u32.const 2))

(assert_return (invoke "from#latin1-latin1" (str.const "")) (str.const ""))
(assert_return (invoke "from#latin1-latin1" (str.const "plain")) (str.const "plain"))
(assert_return (invoke "from#latin1-latin1" (str.const "é")) (str.const "é"))
(assert_return (invoke "from#latin1-latin1" (str.const "né €𐍈!")) (str.const "né €𐍈!"))
(assert_return (invoke "from#latin1-latin1" (str.const "\u{ff}\u{100}")) (str.const "\u{ff}\u{100}"))
(assert_return (invoke "from#units-latin1-latin1" (str.const "é")) (u32.const 1))
(assert_return (invoke "from#units-latin1-latin1" (str.const "né €𐍈!")) (u32.const 0x80000007))
(assert_return (invoke "from#units-latin1-latin1" (str.const "\u{ff}\u{100}")) (u32.const 0x80000002))

;; Compound values, with strings inside that change their encoding.
(component
  ;; Memory and a heap that only grows.
  (core module $libc
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and
        (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (memory.copy (local.get $at) (local.get $old) (select
        (local.get $old-size)
        (local.get $size)
        (i32.lt_u (local.get $old-size) (local.get $size))))
      (local.get $at)))
  (component $Callee
    (alias outer 1 $libc (core module $libc))
    (core instance $libc (instantiate $libc))
    (core module $m
      (import "libc" "memory" (memory 1))
      (func (export "echo") (param i32 i32) (result i32)
        (i32.store (i32.const 0) (local.get 0))
        (i32.store (i32.const 4) (local.get 1))
        (i32.const 0)))
    (core instance $m (instantiate $m (with "libc" (instance $libc))))
    (type $entry' (record (field "key" string) (field "value" (option u64)) (field "kind" (result u8 (error char)))))
    (export $entry "entry" (type $entry'))
    (func (export "echo") (param "l" (list $entry)) (result (list $entry)) (canon lift (core func $m "echo")
      string-encoding=utf16 (memory $libc "memory") (realloc (func $libc "realloc")))))
  (component $Caller
    (alias outer 1 $libc (core module $libc))
    (import "callee" (instance $callee
      (type $entry' (record (field "key" string) (field "value" (option u64)) (field "kind" (result u8 (error char)))))
      (export "entry" (type $entry (eq $entry')))
      (export "echo" (func (param "l" (list $entry)) (result (list $entry))))))
    (alias export $callee "entry" (type $entry))
    (core instance $libc (instantiate $libc))
    (core func $echo (canon lower (func $callee "echo")
      string-encoding=utf8 (memory $libc "memory") (realloc (func $libc "realloc"))))
    (core module $m
      (import "" "echo" (func $echo (param i32 i32 i32)))
      (func (export "echo") (param i32 i32) (result i32)
        (call $echo (local.get 0) (local.get 1) (i32.const 16))
        (i32.const 16)))
    (core instance $m (instantiate $m (with "" (instance (export "echo" (func $echo))))))
    (func (export "echo") (param "l" (list $entry)) (result (list $entry)) (canon lift (core func $m "echo")
      string-encoding=utf8 (memory $libc "memory") (realloc (func $libc "realloc")))))
  (instance $callee (instantiate $Callee))
  (instance $caller (instantiate $Caller (with "callee" (instance $callee))))
  (export "callee" (instance $callee))
  (export "echo" (func $caller "echo")))
(assert_return (invoke "echo" (list.const)) (list.const))
(assert_return
  (invoke "echo" (list.const
    (record.const (field "key" str.const "né") (field "value" option.none) (field "kind" result.ok (u8.const 3)))
    (record.const (field "key" str.const "") (field "value" option.some (u64.const 0xffffffffffffffff)) (field "kind" result.err (char.const "𐍈")))))
  (list.const
    (record.const (field "key" str.const "né") (field "value" option.none) (field "kind" result.ok (u8.const 3)))
    (record.const (field "key" str.const "") (field "value" option.some (u64.const 0xffffffffffffffff)) (field "kind" result.err (char.const "𐍈")))))

;; Who is called traps, and the caller with it. Neither is entered again.
(component
  (component $Callee
    (core module $m
      (memory (export "memory") 1)
      (func (export "f") (result i32) unreachable))
    (core instance $m (instantiate $m))
    (func (export "f") (result u32) (canon lift (core func $m "f"))))
  (component $Caller
    (import "f" (func $f (result u32)))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $f (canon lower (func $f) (memory $libc "memory")))
    (core module $m
      (import "" "f" (func $f (result i32)))
      (func (export "g") (result i32) (call $f )))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "g") (result u32) (canon lift (core func $m "g"))))
  (instance $callee (instantiate $Callee))
  (instance $caller (instantiate $Caller (with "f" (func $callee "f"))))
  (export "callee" (instance $callee))
  (export "g" (func $caller "g")))
(assert_trap (invoke "g") "unreachable")
(assert_trap (invoke "g") "cannot enter component instance")
(assert_trap (invoke "callee#f") "cannot enter component instance")

;; What lies at the end of the caller's memory passes.
(component
  (component $Callee
    (core module $m
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
      (func (export "f") (param i32 i32) (result i32) (local.get 1)))
    (core instance $m (instantiate $m))
    (func (export "f") (param "s" string) (result u32) (canon lift (core func $m "f") (memory $m "memory") (realloc (func $m "realloc")))))
  (component $Caller
    (import "f" (func $f (param "s" string) (result u32)))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $f (canon lower (func $f) (memory $libc "memory")))
    (core module $m
      (import "" "f" (func $f (param i32 i32) (result i32)))
      (func (export "g") (result i32) (call $f (i32.const 65531) (i32.const 5))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "g") (result u32) (canon lift (core func $m "g"))))
  (instance $callee (instantiate $Callee))
  (instance $caller (instantiate $Caller (with "f" (func $callee "f"))))
  (export "callee" (instance $callee))
  (export "g" (func $caller "g")))
(assert_return (invoke "g") (u32.const 5))

;; What lies beyond it does not.
(component
  (component $Callee
    (core module $m
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
      (func (export "f") (param i32 i32) (result i32) (local.get 1)))
    (core instance $m (instantiate $m))
    (func (export "f") (param "s" string) (result u32) (canon lift (core func $m "f") (memory $m "memory") (realloc (func $m "realloc")))))
  (component $Caller
    (import "f" (func $f (param "s" string) (result u32)))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $f (canon lower (func $f) (memory $libc "memory")))
    (core module $m
      (import "" "f" (func $f (param i32 i32) (result i32)))
      (func (export "g") (result i32) (call $f (i32.const 65532) (i32.const 5))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "g") (result u32) (canon lift (core func $m "g"))))
  (instance $callee (instantiate $Callee))
  (instance $caller (instantiate $Caller (with "f" (func $callee "f"))))
  (export "callee" (instance $callee))
  (export "g" (func $caller "g")))
(assert_trap (invoke "g") "string content out-of-bounds")

;; Nor does what the one that is called has no memory for.
(component
  (component $Callee
    (core module $m
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65533))
      (func (export "f") (param i32 i32) (result i32) (local.get 1)))
    (core instance $m (instantiate $m))
    (func (export "f") (param "s" string) (result u32) (canon lift (core func $m "f") (memory $m "memory") (realloc (func $m "realloc")))))
  (component $Caller
    (import "f" (func $f (param "s" string) (result u32)))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $f (canon lower (func $f) (memory $libc "memory")))
    (core module $m
      (import "" "f" (func $f (param i32 i32) (result i32)))
      (func (export "g") (result i32) (call $f (i32.const 0) (i32.const 5))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "g") (result u32) (canon lift (core func $m "g"))))
  (instance $callee (instantiate $Callee))
  (instance $caller (instantiate $Caller (with "f" (func $callee "f"))))
  (export "callee" (instance $callee))
  (export "g" (func $caller "g")))
(assert_trap (invoke "g") "string content out-of-bounds")

;; A list for which it gives memory that is not aligned.
(component
  (component $Callee
    (core module $m
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4))
      (func (export "f") (param i32 i32) (result i32) (local.get 1)))
    (core instance $m (instantiate $m))
    (func (export "f") (param "l" (list u64)) (result u32) (canon lift (core func $m "f") (memory $m "memory") (realloc (func $m "realloc")))))
  (component $Caller
    (import "f" (func $f (param "l" (list u64)) (result u32)))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $f (canon lower (func $f) (memory $libc "memory")))
    (core module $m
      (import "" "f" (func $f (param i32 i32) (result i32)))
      (func (export "g") (result i32) (call $f (i32.const 0) (i32.const 1))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "g") (result u32) (canon lift (core func $m "g"))))
  (instance $callee (instantiate $Callee))
  (instance $caller (instantiate $Caller (with "f" (func $callee "f"))))
  (export "callee" (instance $callee))
  (export "g" (func $caller "g")))
(assert_trap (invoke "g") "unaligned pointer")

;; A character that is none.
(component
  (component $Callee
    (core module $m
      (memory (export "memory") 1)
      (func (export "f") (param i32) (result i32) (local.get 0)))
    (core instance $m (instantiate $m))
    (func (export "f") (param "c" char) (result u32) (canon lift (core func $m "f"))))
  (component $Caller
    (import "f" (func $f (param "c" char) (result u32)))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $f (canon lower (func $f) (memory $libc "memory")))
    (core module $m
      (import "" "f" (func $f (param i32) (result i32)))
      (func (export "g") (result i32) (call $f (i32.const 0xd800))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "g") (result u32) (canon lift (core func $m "g"))))
  (instance $callee (instantiate $Callee))
  (instance $caller (instantiate $Caller (with "f" (func $callee "f"))))
  (export "callee" (instance $callee))
  (export "g" (func $caller "g")))
(assert_trap (invoke "g") "invalid `char` bit pattern")

;; Whatever is not zero is true.
(component
  (component $Callee
    (core module $m
      (memory (export "memory") 1)
      (func (export "f") (param i32) (result i32) (local.get 0)))
    (core instance $m (instantiate $m))
    (func (export "f") (param "b" bool) (result u32) (canon lift (core func $m "f"))))
  (component $Caller
    (import "f" (func $f (param "b" bool) (result u32)))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $f (canon lower (func $f) (memory $libc "memory")))
    (core module $m
      (import "" "f" (func $f (param i32) (result i32)))
      (func (export "g") (result i32) (call $f (i32.const 256))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "g") (result u32) (canon lift (core func $m "g"))))
  (instance $callee (instantiate $Callee))
  (instance $caller (instantiate $Caller (with "f" (func $callee "f"))))
  (export "callee" (instance $callee))
  (export "g" (func $caller "g")))
(assert_return (invoke "g") (u32.const 1))

;; A number with too many bits is cut.
(component
  (component $Callee
    (core module $m
      (memory (export "memory") 1)
      (func (export "f") (param i32) (result i32) (local.get 0)))
    (core instance $m (instantiate $m))
    (func (export "f") (param "n" u8) (result u32) (canon lift (core func $m "f"))))
  (component $Caller
    (import "f" (func $f (param "n" u8) (result u32)))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $f (canon lower (func $f) (memory $libc "memory")))
    (core module $m
      (import "" "f" (func $f (param i32) (result i32)))
      (func (export "g") (result i32) (call $f (i32.const 0x1234))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "g") (result u32) (canon lift (core func $m "g"))))
  (instance $callee (instantiate $Callee))
  (instance $caller (instantiate $Caller (with "f" (func $callee "f"))))
  (export "callee" (instance $callee))
  (export "g" (func $caller "g")))
(assert_return (invoke "g") (u32.const 0x34))

;; A case that there is not.
(component
  (component $Callee
    (core module $m
      (memory (export "memory") 1)
      (func (export "f") (param i32 i32) (result i32) (local.get 0)))
    (core instance $m (instantiate $m))
    (func (export "f") (param "o" (option u32)) (result u32) (canon lift (core func $m "f"))))
  (component $Caller
    (import "f" (func $f (param "o" (option u32)) (result u32)))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $f (canon lower (func $f) (memory $libc "memory")))
    (core module $m
      (import "" "f" (func $f (param i32 i32) (result i32)))
      (func (export "g") (result i32) (call $f (i32.const 2) (i32.const 0))))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "g") (result u32) (canon lift (core func $m "g"))))
  (instance $callee (instantiate $Callee))
  (instance $caller (instantiate $Caller (with "f" (func $callee "f"))))
  (export "callee" (instance $callee))
  (export "g" (func $caller "g")))
(assert_trap (invoke "g") "invalid variant discriminant")
