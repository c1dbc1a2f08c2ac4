//! Small modules and components that the figures are taken with.

/// A function that the host calls, and one that calls the host as often as it is told.
pub const CALLS: &str = r#"
(module
  (import "host" "next" (func $next (param i32) (result i32)))
  (func (export "same") (param $value i32) (result i32)
    (local.get $value))
  (func (export "repeat") (param $left i64)
    (local $value i32)
    (loop $again
      (local.set $value (call $next (local.get $value)))
      (local.set $left (i64.sub (local.get $left) (i64.const 1)))
      (br_if $again (i64.ne (local.get $left) (i64.const 0))))))
"#;

/// A memory of 32 MiB, and a function that writes to each page of 4 KiB.
pub const MEMORY_32M: &str = r#"
(module
  (memory 512)
  (func (export "touch")
    (local $at i32)
    (loop $again
      (i32.store8 (local.get $at) (i32.const 1))
      (local.set $at (i32.add (local.get $at) (i32.const 4096)))
      (br_if $again (i32.lt_u (local.get $at) (i32.const 0x2000000))))))
"#;

/// A component with a function that takes a number, and one that takes a string.
pub const COMPONENT: &str = r#"
(component
  (core module $inner
    (memory (export "memory") 1)
    (func (export "same") (param i32) (result i32) (local.get 0))
    (func (export "place") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
    (func (export "length") (param i32 i32) (result i32) (local.get 1)))
  (core instance $inner (instantiate $inner))
  (func (export "same") (param "value" u32) (result u32)
    (canon lift (core func $inner "same")))
  (func (export "length") (param "text" string) (result u32)
    (canon lift
      (core func $inner "length")
      (memory (core memory $inner "memory"))
      (realloc (core func $inner "place")))))
"#;
