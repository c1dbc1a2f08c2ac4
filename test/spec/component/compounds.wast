;; Lists, records, tuples, variants, enumerations, options, results and flags.

;; Each in a list that goes through memory and comes back as it was.
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
  (core module $m
    (import "libc" "memory" (memory 1))
    (func (export "echo") (param i32 i32) (result i32)
      (i32.store (i32.const 0) (local.get 0))
      (i32.store (i32.const 4) (local.get 1))
      (i32.const 0)))
  (core instance $libc (instantiate $libc))
  (core instance $m (instantiate $m (with "libc" (instance $libc))))
  (type $point' (record (field "x" u8) (field "y" s64) (field "name" string) (field "z" f32)))
  (export $point "point" (type $point'))
  (type $shape' (variant (case "none") (case "circle" f64) (case "text" string) (case "pair" (tuple u8 u16))))
  (export $shape "shape" (type $shape'))
  (type $color' (enum "red" "green" "blue"))
  (export $color "color" (type $color'))
  (type $access' (flags "read" "write" "execute"))
  (export $access "access" (type $access'))
  (type $many' (flags "f0" "f1" "f2" "f3" "f4" "f5" "f6" "f7" "f8" "f9" "f10" "f11" "f12" "f13" "f14" "f15" "f16" "f17" "f18" "f19"))
  (export $many "many" (type $many'))
  (func (export "echo-u8") (param "l" (list u8)) (result (list u8)) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "echo-s16") (param "l" (list s16)) (result (list s16)) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "echo-u32") (param "l" (list u32)) (result (list u32)) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "echo-s64") (param "l" (list s64)) (result (list s64)) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "echo-f32") (param "l" (list f32)) (result (list f32)) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "echo-f64") (param "l" (list f64)) (result (list f64)) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "echo-bool") (param "l" (list bool)) (result (list bool)) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "echo-char") (param "l" (list char)) (result (list char)) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "echo-string") (param "l" (list string)) (result (list string)) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "echo-list") (param "l" (list (list u16))) (result (list (list u16))) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "echo-tuple") (param "l" (list (tuple u8 f64 string))) (result (list (tuple u8 f64 string))) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "echo-point") (param "l" (list $point)) (result (list $point)) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "echo-shape") (param "l" (list $shape)) (result (list $shape)) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "echo-color") (param "l" (list $color)) (result (list $color)) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "echo-access") (param "l" (list $access)) (result (list $access)) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "echo-many") (param "l" (list $many)) (result (list $many)) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "echo-option") (param "l" (list (option u32))) (result (list (option u32))) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "echo-nested") (param "l" (list (option (option bool)))) (result (list (option (option bool)))) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "echo-result") (param "l" (list (result u64 (error string)))) (result (list (result u64 (error string)))) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "echo-error") (param "l" (list (result (error u8)))) (result (list (result (error u8)))) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "echo-unit") (param "l" (list (result))) (result (list (result))) (canon lift (core func $m "echo")
    (memory $libc "memory") (realloc (func $libc "realloc")))))

(assert_return (invoke "echo-u8" (list.const (u8.const 0) (u8.const 255))) (list.const (u8.const 0) (u8.const 255)))
(assert_return (invoke "echo-s16" (list.const (s16.const -32768) (s16.const 32767))) (list.const (s16.const -32768) (s16.const 32767)))
(assert_return (invoke "echo-u32" (list.const (u32.const 4294967295))) (list.const (u32.const 4294967295)))
(assert_return
  (invoke "echo-s64" (list.const (s64.const -1) (s64.const 9223372036854775807)))
  (list.const (s64.const -1) (s64.const 9223372036854775807)))
(assert_return
  (invoke "echo-f32" (list.const (f32.const 1.5) (f32.const -0) (f32.const nan)))
  (list.const (f32.const 1.5) (f32.const -0) (f32.const nan)))
(assert_return (invoke "echo-f64" (list.const (f64.const -inf) (f64.const 1e300))) (list.const (f64.const -inf) (f64.const 1e300)))
(assert_return
  (invoke "echo-bool" (list.const (bool.const true) (bool.const false) (bool.const true)))
  (list.const (bool.const true) (bool.const false) (bool.const true)))
(assert_return (invoke "echo-char" (list.const (char.const "a") (char.const "𐍈"))) (list.const (char.const "a") (char.const "𐍈")))
(assert_return
  (invoke "echo-string" (list.const (str.const "") (str.const "né") (str.const "€")))
  (list.const (str.const "") (str.const "né") (str.const "€")))
(assert_return
  (invoke "echo-list" (list.const (list.const) (list.const (u16.const 1) (u16.const 2) (u16.const 3))))
  (list.const (list.const) (list.const (u16.const 1) (u16.const 2) (u16.const 3))))
(assert_return
  (invoke "echo-tuple" (list.const (tuple.const (u8.const 7) (f64.const 0.5) (str.const "seven"))))
  (list.const (tuple.const (u8.const 7) (f64.const 0.5) (str.const "seven"))))
(assert_return
  (invoke "echo-point" (list.const (record.const (field "x" u8.const 1) (field "y" s64.const -2) (field "name" str.const "p") (field "z" f32.const 3)) (record.const (field "x" u8.const 255) (field "y" s64.const 0) (field "name" str.const "") (field "z" f32.const -0.25))))
  (list.const (record.const (field "x" u8.const 1) (field "y" s64.const -2) (field "name" str.const "p") (field "z" f32.const 3)) (record.const (field "x" u8.const 255) (field "y" s64.const 0) (field "name" str.const "") (field "z" f32.const -0.25))))
(assert_return
  (invoke "echo-shape" (list.const (variant.const "none") (variant.const "circle" (f64.const 2.5)) (variant.const "text" (str.const "t")) (variant.const "pair" (tuple.const (u8.const 1) (u16.const 2)))))
  (list.const (variant.const "none") (variant.const "circle" (f64.const 2.5)) (variant.const "text" (str.const "t")) (variant.const "pair" (tuple.const (u8.const 1) (u16.const 2)))))
(assert_return
  (invoke "echo-color" (list.const (enum.const "blue") (enum.const "red") (enum.const "green")))
  (list.const (enum.const "blue") (enum.const "red") (enum.const "green")))
(assert_return
  (invoke "echo-access" (list.const (flags.const) (flags.const "read" "execute") (flags.const "write")))
  (list.const (flags.const) (flags.const "read" "execute") (flags.const "write")))
(assert_return (invoke "echo-many" (list.const (flags.const "f0" "f7" "f8" "f19"))) (list.const (flags.const "f0" "f7" "f8" "f19")))
(assert_return
  (invoke "echo-option" (list.const (option.none) (option.some (u32.const 0))))
  (list.const (option.none) (option.some (u32.const 0))))
(assert_return
  (invoke "echo-nested" (list.const (option.none) (option.some (option.none)) (option.some (option.some (bool.const true)))))
  (list.const (option.none) (option.some (option.none)) (option.some (option.some (bool.const true)))))
(assert_return
  (invoke "echo-result" (list.const (result.ok (u64.const 18446744073709551615)) (result.err (str.const "why"))))
  (list.const (result.ok (u64.const 18446744073709551615)) (result.err (str.const "why"))))
(assert_return (invoke "echo-error" (list.const (result.ok) (result.err (u8.const 9)))) (list.const (result.ok) (result.err (u8.const 9))))
(assert_return (invoke "echo-unit" (list.const (result.ok) (result.err))) (list.const (result.ok) (result.err)))
(assert_return (invoke "echo-string" (list.const)) (list.const))
(assert_return (invoke "echo-unit" (list.const)) (list.const))
;; Names that the type does not have are no values of it.
(assert_trap (invoke "echo-color" (list.const (enum.const "pink"))) "enum variant name `pink` is not valid")
(assert_trap (invoke "echo-access" (list.const (flags.const "delete"))) "unknown flag: `delete`")
(assert_trap (invoke "echo-shape" (list.const (variant.const "square"))) "unknown variant case: `square`")

;; What the host makes of them.
(component
  (import "host" (instance $host
    (export "sum" (func (param "numbers" (list u32)) (result u64)))
    (export "invert" (func (param "value" (result u32 (error string))) (result (result string (error u32)))))))
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
  (core instance $libc (instantiate $libc))
  (core func $sum (canon lower (func $host "sum") (memory $libc "memory")))
  (core func $invert (canon lower (func $host "invert") (memory $libc "memory") (realloc (func $libc "realloc"))))
  (core module $m
    (import "" "sum" (func $sum (param i32 i32) (result i64)))
    (import "" "invert" (func $invert (param i32 i32 i32 i32)))
    (func (export "sum") (param i32 i32) (result i64) (call $sum (local.get 0) (local.get 1)))
    (func (export "invert") (param i32 i32 i32) (result i32)
      (call $invert (local.get 0) (local.get 1) (local.get 2) (i32.const 16))
      (i32.const 16))
    (func (export "sum-beyond") (result i64) (call $sum (i32.const 131068) (i32.const 2))))
  (core instance $m (instantiate $m (with "" (instance
    (export "sum" (func $sum))
    (export "invert" (func $invert))))))
  (func (export "sum") (param "l" (list u32)) (result u64) (canon lift (core func $m "sum")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "invert") (param "v" (result u32 (error string))) (result (result string (error u32)))
    (canon lift (core func $m "invert") (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "sum-beyond") (result u64) (canon lift (core func $m "sum-beyond"))))
(assert_return (invoke "sum" (list.const)) (u64.const 0))
(assert_return (invoke "sum" (list.const (u32.const 1) (u32.const 4294967295) (u32.const 2))) (u64.const 4294967298))
(assert_return (invoke "invert" (result.ok (u32.const 5))) (result.err (u32.const 5)))
(assert_return (invoke "invert" (result.err (str.const "no"))) (result.ok (str.const "no")))
(assert_trap (invoke "sum-beyond") "list pointer/length out of bounds of memory")
(component
  (import "host" (instance $host (export "sum" (func (param "numbers" (list u32)) (result u64)))))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $sum (canon lower (func $host "sum") (memory $libc "memory")))
  (core module $m
    (import "" "sum" (func $sum (param i32 i32) (result i64)))
    (func (export "sum") (result i64) (call $sum (i32.const 2) (i32.const 1))))
  (core instance $m (instantiate $m (with "" (instance (export "sum" (func $sum))))))
  (func (export "sum-unaligned") (result u64) (canon lift (core func $m "sum"))))
(assert_trap (invoke "sum-unaligned") "list pointer is not aligned")
(component
  (import "host" (instance $host (export "sum" (func (param "numbers" (list u32)) (result u64)))))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $sum (canon lower (func $host "sum") (memory $libc "memory")))
  (core module $m
    (import "" "sum" (func $sum (param i32 i32) (result i64)))
    (func (export "sum") (result i64) (call $sum (i32.const 0) (i32.const -1))))
  (core instance $m (instantiate $m (with "" (instance (export "sum" (func $sum))))))
  (func (export "sum-endless") (result u64) (canon lift (core func $m "sum"))))
(assert_trap (invoke "sum-endless") "list pointer/length out of bounds of memory")

;; Small ones come and go in registers; where the cases of a variant differ, they share the wider one.
(component
  (core module $m
    (func (export "case") (param i32 i64) (result i32) (local.get 0))
    (func (export "bits") (param i32 i64) (result i64) (local.get 1))
    (func (export "small-bits") (param i32 i32) (result i32) (local.get 1))
    (func (export "fields") (param i32 i64 f32) (result f64)
      (f64.add
        (f64.convert_i32_u (local.get 0))
        (f64.add (f64.convert_i64_s (local.get 1)) (f64.promote_f32 (local.get 2)))))
    (func (export "bits-of-flags") (param i32) (result i32) (local.get 0))
    (func (export "case-of") (param i32) (result i32) (local.get 0))
    (func (export "sixteen") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
      (i32.sub (local.get 15) (local.get 0))))
  (core instance $m (instantiate $m))
  (type $value' (variant (case "number" u32) (case "fraction" f64) (case "nothing") (case "small" s8)))
  (export $value "value" (type $value'))
  (type $narrow' (variant (case "number" u32) (case "fraction" f32)))
  (export $narrow "narrow" (type $narrow'))
  (type $fields' (record (field "a" u8) (field "b" s64) (field "c" f32)))
  (export $fields "fields" (type $fields'))
  (type $letters' (flags "a" "b" "c"))
  (export $letters "letters" (type $letters'))
  (type $answer' (enum "yes" "no" "perhaps"))
  (export $answer "answer" (type $answer'))
  (func (export "case") (param "v" $value) (result u32) (canon lift (core func $m "case")))
  (func (export "bits") (param "v" $value) (result u64) (canon lift (core func $m "bits")))
  (func (export "narrow-bits") (param "v" $narrow) (result u32) (canon lift (core func $m "small-bits")))
  (func (export "sum-of-fields") (param "r" $fields) (result f64) (canon lift (core func $m "fields")))
  (func (export "bits-of-flags") (param "f" $letters) (result u32) (canon lift (core func $m "bits-of-flags")))
  (func (export "flags-of-bits") (param "n" u32) (result $letters) (canon lift (core func $m "bits-of-flags")))
  (func (export "case-of") (param "e" $answer) (result u32) (canon lift (core func $m "case-of")))
  (func (export "of-case") (param "n" u32) (result $answer) (canon lift (core func $m "case-of")))
  (func (export "result-of") (param "n" u32) (result (result)) (canon lift (core func $m "case-of")))
  (func (export "sixteen")
    (param "p0" u32) (param "p1" u32) (param "p2" u32) (param "p3" u32) (param "p4" u32) (param "p5" u32) (param "p6" u32) (param "p7" u32)
    (param "p8" u32) (param "p9" u32) (param "p10" u32) (param "p11" u32) (param "p12" u32) (param "p13" u32) (param "p14" u32) (param "p15" u32)
    (result u32) (canon lift (core func $m "sixteen"))))
(assert_return (invoke "case" (variant.const "number" (u32.const 7))) (u32.const 0))
(assert_return (invoke "case" (variant.const "nothing")) (u32.const 2))
(assert_return (invoke "bits" (variant.const "number" (u32.const 0xffffffff))) (u64.const 0xffffffff))
(assert_return (invoke "bits" (variant.const "fraction" (f64.const 1))) (u64.const 0x3ff0000000000000))
(assert_return (invoke "bits" (variant.const "nothing")) (u64.const 0))
(assert_return (invoke "bits" (variant.const "small" (s8.const -1))) (u64.const 0xffffffff))
(assert_return (invoke "narrow-bits" (variant.const "fraction" (f32.const 1))) (u32.const 0x3f800000))
(assert_return
  (invoke "sum-of-fields" (record.const (field "a" u8.const 200) (field "b" s64.const -100) (field "c" f32.const 0.5)))
  (f64.const 100.5))
(assert_return (invoke "bits-of-flags" (flags.const "a" "c")) (u32.const 5))
(assert_return (invoke "flags-of-bits" (u32.const 6)) (flags.const "b" "c"))
;; Bits that stand for no flag are not looked at.
(assert_return (invoke "flags-of-bits" (u32.const 0xfffffff9)) (flags.const "a"))
(assert_return (invoke "case-of" (enum.const "perhaps")) (u32.const 2))
(assert_return (invoke "of-case" (u32.const 1)) (enum.const "no"))
(assert_return (invoke "result-of" (u32.const 0)) (result.ok))
(assert_return (invoke "result-of" (u32.const 1)) (result.err))
(assert_return (invoke "sixteen" (u32.const 1) (u32.const 2) (u32.const 3) (u32.const 4) (u32.const 5) (u32.const 6) (u32.const 7) (u32.const 8) (u32.const 9) (u32.const 10) (u32.const 11) (u32.const 12) (u32.const 13) (u32.const 14) (u32.const 15) (u32.const 16)) (u32.const 15))
(assert_trap (invoke "of-case" (u32.const 3)) "discriminant 3 out of range [0..3)")

;; One argument more than sixteen, and all of them go through memory.
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
  (core instance $libc (instantiate $libc))
  (core module $m
    (import "libc" "memory" (memory 1))
    (func (export "last") (param i32) (result i32) (i32.load offset=64 (local.get 0))))
  (core instance $m (instantiate $m (with "libc" (instance $libc))))
  (func (export "last") (param "t" (tuple u32 u32 u32 u32 u32 u32 u32 u32 u32 u32 u32 u32 u32 u32 u32 u32 u32)) (result u32)
    (canon lift (core func $m "last") (memory $libc "memory") (realloc (func $libc "realloc")))))
(assert_return
  (invoke "last" (tuple.const (u32.const 0) (u32.const 1) (u32.const 2) (u32.const 3) (u32.const 4) (u32.const 5) (u32.const 6) (u32.const 7) (u32.const 8)
    (u32.const 9) (u32.const 10) (u32.const 11) (u32.const 12) (u32.const 13) (u32.const 14) (u32.const 15) (u32.const 16)))
  (u32.const 16))

;; What a program wrote by hand: a case that there is not, and truth that is not one.
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 8) "\00\01\ff")
    (func (export "f") (result i32) (i32.const 8)))
  (core instance $i (instantiate $m))
  (func (export "f") (result (tuple bool bool bool)) (canon lift (core func $i "f") (memory $i "memory"))))
(assert_return (invoke "f") (tuple.const (bool.const false) (bool.const true) (bool.const true)))
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 8) "\01\ff\ff\ff\05\00\00\00")
    (func (export "f") (result i32) (i32.const 8)))
  (core instance $i (instantiate $m))
  (func (export "f") (result (option u32)) (canon lift (core func $i "f") (memory $i "memory"))))
(assert_return (invoke "f") (option.some (u32.const 5)))
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 8) "\02")
    (func (export "f") (result i32) (i32.const 8)))
  (core instance $i (instantiate $m))
  (func (export "f") (result (option u32)) (canon lift (core func $i "f") (memory $i "memory"))))
(assert_trap (invoke "f") "discriminant 2 out of range [0..2)")
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 8) "\03")
    (func (export "f") (result i32) (i32.const 8)))
  (core instance $i (instantiate $m))
  (func (export "f") (result (result u8 (error u8))) (canon lift (core func $i "f") (memory $i "memory"))))
(assert_trap (invoke "f") "discriminant 3 out of range [0..2)")
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 8) "\00\d8\00\00")
    (func (export "f") (result i32) (i32.const 8)))
  (core instance $i (instantiate $m))
  (func (export "f") (result (tuple char u8)) (canon lift (core func $i "f") (memory $i "memory"))))
(assert_trap (invoke "f") "converted integer out of range for `char`")
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 8) "\10\00\00\00\ff\ff\ff\ff")
    (func (export "f") (result i32) (i32.const 8)))
  (core instance $i (instantiate $m))
  (func (export "f") (result (list u64)) (canon lift (core func $i "f") (memory $i "memory"))))
(assert_trap (invoke "f") "list pointer/length out of bounds of memory")
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 8) "\14\00\00\00\01\00\00\00")
    (func (export "f") (result i32) (i32.const 8)))
  (core instance $i (instantiate $m))
  (func (export "f") (result (list u64)) (canon lift (core func $i "f") (memory $i "memory"))))
(assert_trap (invoke "f") "list pointer is not aligned")
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 8) "\10\00\00\00\01\00\00\00\ff\ff\ff\ff\01\00\00\00")
    (func (export "f") (result i32) (i32.const 8)))
  (core instance $i (instantiate $m))
  (func (export "f") (result (list string)) (canon lift (core func $i "f") (memory $i "memory"))))
(assert_trap (invoke "f") "out of bounds")

;; Types that are none.
(assert_invalid (component (type (variant))) "variant type must have at least one case")
(assert_invalid (component (type (record))) "record type must have at least one field")
(assert_invalid (component (type (enum "a" "a"))) "enum tag name `a` conflicts with previous tag name `a`")
(assert_invalid (component (type (flags "a" "A"))) "flag name `A` conflicts with previous flag name `a`")
(assert_invalid (component (type (record (field "a" u8) (field "a" u8)))) "record field name `a` conflicts with previous field name `a`")
;; A record that a function gives away must have a name.
(assert_invalid
  (component
    (type $r (record (field "a" u8)))
    (core module $m (func (export "f") (result i32) (i32.const 0)))
    (core instance $i (instantiate $m))
    (func (export "f") (result $r) (canon lift (core func $i "f"))))
  "func not valid to be used as export")
