;; Components inside components: instantiated, linked, aliased; and what does not link.

;; Two instances of one component share no state; an instance that two others use is shared.
(component
  (component $Counter
    (core module $m
      (global $count (mut i32) (i32.const 0))
      (func (export "next") (result i32)
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (global.get $count)))
    (core instance $i (instantiate $m))
    (func (export "next") (result u32) (canon lift (core func $i "next"))))
  (component $User
    (import "counter" (instance $counter (export "next" (func (result u32)))))
    (core func $next (canon lower (func $counter "next")))
    (core module $m
      (import "counter" "next" (func $next (result i32)))
      (func (export "ten-times-next") (result i32) (i32.mul (call $next) (i32.const 10))))
    (core instance $i (instantiate $m (with "counter" (instance (export "next" (func $next))))))
    (func (export "ten-times-next") (result u32) (canon lift (core func $i "ten-times-next"))))
  (instance $one (instantiate $Counter))
  (instance $two (instantiate $Counter))
  (instance $a (instantiate $User (with "counter" (instance $one))))
  (instance $b (instantiate $User (with "counter" (instance $one))))
  (instance $c (instantiate $User (with "counter" (instance
    (export "next" (func $two "next"))))))
  (export "one" (instance $one))
  (export "a" (instance $a))
  (export "b" (instance $b))
  (export "c" (instance $c)))
(assert_return (invoke "one#next") (u32.const 1))
(assert_return (invoke "a#ten-times-next") (u32.const 20))
(assert_return (invoke "b#ten-times-next") (u32.const 30))
(assert_return (invoke "c#ten-times-next") (u32.const 10))
(assert_return (invoke "one#next") (u32.const 4))
(assert_return (invoke "c#ten-times-next") (u32.const 20))

;; A definition may be instantiated again, with nothing of the first time.
(component definition $Once
  (core module $m
    (global $count (mut i32) (i32.const 0))
    (func (export "next") (result i32)
      (global.set $count (i32.add (global.get $count) (i32.const 1)))
      (global.get $count)))
  (core instance $i (instantiate $m))
  (func (export "next") (result u32) (canon lift (core func $i "next"))))
(component instance $first $Once)
(component instance $second $Once)
(assert_return (invoke $first "next") (u32.const 1))
(assert_return (invoke $first "next") (u32.const 2))
(assert_return (invoke $second "next") (u32.const 1))

;; A component, and a core module, as what another component is given.
(component
  (component $Squares
    (core module $m (func (export "of") (param i32) (result i32) (i32.mul (local.get 0) (local.get 0))))
    (core instance $i (instantiate $m))
    (func (export "of") (param "n" u32) (result u32) (canon lift (core func $i "of"))))
  (core module $plus (func (export "of") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))
  (component $Chain
    (import "step" (component $Step (export "of" (func (param "n" u32) (result u32)))))
    (import "last" (core module $Last (export "of" (func (param i32) (result i32)))))
    (component $Link
      (alias outer 1 $Last (core module $Last))
      (import "step" (func $step (param "n" u32) (result u32)))
      (core instance $last (instantiate $Last))
      (core func $of (canon lower (func $step)))
      (core module $m
        (import "step" "of" (func $step (param i32) (result i32)))
        (import "last" "of" (func $last (param i32) (result i32)))
        (func (export "of") (param i32) (result i32) (call $last (call $step (call $step (local.get 0))))))
      (core instance $i (instantiate $m
        (with "step" (instance (export "of" (func $of))))
        (with "last" (instance $last))))
      (func (export "of") (param "n" u32) (result u32) (canon lift (core func $i "of"))))
    (instance $step (instantiate $Step))
    (instance $link (instantiate $Link (with "step" (func $step "of"))))
    (export "of" (func $link "of")))
  (instance $chain (instantiate $Chain
    (with "step" (component $Squares))
    (with "last" (core module $plus))))
  (export "of" (func $chain "of")))
(assert_return (invoke "of" (u32.const 3)) (u32.const 82))

;; Code of a component does not call into a component inside it: that might call back.
(component
  (component $Inner
    (core module $m (func (export "f") (result i32) (i32.const 1)))
    (core instance $i (instantiate $m))
    (func (export "f") (result u32) (canon lift (core func $i "f"))))
  (instance $inner (instantiate $Inner))
  (core func $f (canon lower (func $inner "f")))
  (core module $m
    (import "" "f" (func $f (result i32)))
    (func (export "f") (result i32) (call $f)))
  (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
  (func (export "f") (result u32) (canon lift (core func $i "f"))))
(assert_trap (invoke "f") "cannot enter component instance")

;; Aliases reach through instances and out of components; a name may carry an interface and its version.
(component
  (type $pair (tuple u8 u8))
  (component $Outer
    (alias outer 1 $pair (type $pair))
    (component $Inner
      (alias outer 2 $pair (type $pair))
      (core module $m (func (export "sum") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
      (core instance $i (instantiate $m))
      (func (export "sum") (param "p" $pair) (result u32) (canon lift (core func $i "sum"))))
    (instance $inner (instantiate $Inner))
    (export "test:numbers/inner@1.2.3" (instance $inner)))
  (instance $outer (instantiate $Outer))
  (alias export $outer "test:numbers/inner@1.2.3" (instance $inner))
  (export "test:numbers/sums@0.1.0" (instance $inner))
  (export "sum" (func $inner "sum")))
(assert_return (invoke "sum" (tuple.const (u8.const 200) (u8.const 100))) (u32.const 300))
(assert_return (invoke "test:numbers/sums@0.1.0#sum" (tuple.const (u8.const 1) (u8.const 2))) (u32.const 3))

;; Core instances of one component share memories, tables and globals.
(component
  (core module $a
    (memory (export "memory") 1)
    (table (export "table") 2 funcref)
    (global (export "global") (mut i32) (i32.const 40))
    (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))
  (core module $b
    (import "a" "memory" (memory 1))
    (import "a" "table" (table 2 funcref))
    (import "a" "global" (global $g (mut i32)))
    (type $f (func (result i32)))
    (func $get (result i32) (global.get $g))
    (elem (i32.const 1) func $get)
    (data (i32.const 16) "\2a\00\00\00")
    (func (export "call") (param i32) (result i32)
      (global.set $g (i32.add (global.get $g) (i32.const 1)))
      (call_indirect (type $f) (local.get 0))))
  (core instance $a (instantiate $a))
  (core instance $b (instantiate $b (with "a" (instance $a))))
  (func (export "load") (param "at" u32) (result u32) (canon lift (core func $a "load")))
  (func (export "call") (param "index" u32) (result u32) (canon lift (core func $b "call"))))
(assert_return (invoke "load" (u32.const 16)) (u32.const 42))
(assert_return (invoke "call" (u32.const 1)) (u32.const 41))
(assert_return (invoke "call" (u32.const 1)) (u32.const 42))
(assert_trap (invoke "call" (u32.const 0)) "uninitialized element")

;; Start functions run in the order of the instances, and may end it all.
(component
  (core module $a
    (global (export "order") (mut i32) (i32.const 0)))
  (core module $b
    (import "a" "order" (global $order (mut i32)))
    (import "digit" "" (global $digit i32))
    (func $start
      (global.set $order (i32.add (i32.mul (global.get $order) (i32.const 10)) (global.get $digit))))
    (func (export "order") (result i32) (global.get $order))
    (start $start))
  (core module $one (global (export "") i32 (i32.const 1)))
  (core module $two (global (export "") i32 (i32.const 2)))
  (core instance $a (instantiate $a))
  (core instance $one (instantiate $one))
  (core instance $two (instantiate $two))
  (core instance (instantiate $b (with "a" (instance $a)) (with "digit" (instance $two))))
  (core instance $last (instantiate $b (with "a" (instance $a)) (with "digit" (instance $one))))
  (func (export "order") (result u32) (canon lift (core func $last "order"))))
(assert_return (invoke "order") (u32.const 21))
(assert_trap
  (component
    (core module $m (func $start unreachable) (start $start))
    (core instance (instantiate $m)))
  "unreachable")
(assert_trap
  (component
    (core module $m (memory 1) (data (i32.const 65536) "x"))
    (core instance (instantiate $m)))
  "out of bounds memory access")

;; More than is asked for is no hindrance.
(component
  (component $Rich
    (core module $m (func (export "f") (result i32) (i32.const 7)))
    (core instance $i (instantiate $m))
    (func (export "f") (result u32) (canon lift (core func $i "f")))
    (func (export "g") (result u32) (canon lift (core func $i "f"))))
  (component $Modest
    (import "rich" (instance $rich (export "f" (func (result u32)))))
    (export "f" (func $rich "f")))
  (instance $rich (instantiate $Rich))
  (instance $modest (instantiate $Modest (with "rich" (instance $rich))))
  (export "f" (func $modest "f")))
(assert_return (invoke "f") (u32.const 7))

;; What the host does not have, or has otherwise.
(assert_unlinkable
  (component (import "guest" (func)))
  "component imports function `guest`, but a matching implementation was not found in the linker")
(assert_unlinkable
  (component (import "host" (instance (export "missing" (func)))))
  "function implementation is missing")
(assert_unlinkable
  (component (import "host" (instance (export "sum" (func (param "numbers" (list u32)) (result u32))))))
  "type mismatch with results")
(assert_unlinkable
  (component (import "host" (instance (export "sum" (func (param "numbers" (list u64)) (result u64))))))
  "type mismatch with parameters")
(assert_unlinkable
  (component (import "host" (instance (export "sum" (instance)))))
  "expected instance found func")
(assert_unlinkable
  (component (import "test:numbers/sums@0.1.0" (instance (export "sum" (func)))))
  "component imports instance `test:numbers/sums@0.1.0`, but a matching implementation was not found in the linker")

;; What does not fit inside a component is found before it is compiled.
(assert_invalid
  (component
    (component $C (import "f" (func)))
    (instance (instantiate $C)))
  "missing import named `f`")
(assert_invalid
  (component
    (component $C (import "f" (func (result u32))))
    (component $D (import "f" (func (result u64))) (export "f" (func 0)))
    (import "f" (func $f (result u64)))
    (instance (instantiate $C (with "f" (func $f)))))
  "type mismatch for import `f`")
(assert_invalid
  (component
    (core module $m (import "" "f" (func)))
    (core instance (instantiate $m (with "" (instance)))))
  "module instantiation argument `` does not export an item named `f`")
(assert_invalid
  (component (export "f" (func 0)))
  "unknown function 0")
(assert_invalid
  (component
    (import "f" (func))
    (import "f" (func)))
  "import name `f` conflicts with previous name `f`")
(assert_malformed
  (component quote "(instance (instantiate $nobody))")
  "unknown component")
