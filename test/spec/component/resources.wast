;; Resources: who owns them, who borrows them, and when they end.

;; The host's resource, used by a component.
(component
  (import "host" (instance $host
    (export "ticket" (type $ticket (sub resource)))
    (export "[constructor]ticket" (func (param "number" u32) (result (own $ticket))))
    (export "[method]ticket.number" (func (param "self" (borrow $ticket)) (result u32)))
    (export "[static]ticket.redeem" (func (param "ticket" (own $ticket)) (result u32)))
    (export "[static]ticket.live" (func (result u32)))))
  (alias export $host "ticket" (type $ticket))
  (core func $new (canon lower (func $host "[constructor]ticket")))
  (core func $number (canon lower (func $host "[method]ticket.number")))
  (core func $redeem (canon lower (func $host "[static]ticket.redeem")))
  (core func $live (canon lower (func $host "[static]ticket.live")))
  (core func $drop (canon resource.drop $ticket))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "number" (func $number (param i32) (result i32)))
    (import "" "redeem" (func $redeem (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "keep") (param i32) (result i32) (call $new (local.get 0)))
    (func (export "number") (param i32) (result i32) (call $number (local.get 0)))
    (func (export "redeem") (param i32) (result i32) (call $redeem (local.get 0)))
    (func (export "drop") (param i32) (call $drop (local.get 0)))
    ;; Sixty-four at a time, each dropped: their places are used again.
    (func (export "many") (result i32)
      (local $left i32)
      (local.set $left (i32.const 64))
      (loop $again
        (call $drop (call $new (local.get $left)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br_if $again (local.get $left)))
      (call $new (i32.const 7))))
  (core instance $i (instantiate $m (with "" (instance
    (export "new" (func $new))
    (export "number" (func $number))
    (export "redeem" (func $redeem))
    (export "drop" (func $drop))))))
  (func (export "keep") (param "number" u32) (result u32) (canon lift (core func $i "keep")))
  (func (export "number") (param "handle" u32) (result u32) (canon lift (core func $i "number")))
  (func (export "redeem") (param "handle" u32) (result u32) (canon lift (core func $i "redeem")))
  (func (export "drop") (param "handle" u32) (canon lift (core func $i "drop")))
  (func (export "many") (result u32) (canon lift (core func $i "many")))
  (core module $l (import "" "live" (func $live (result i32))) (export "live" (func $live)))
  (core instance $li (instantiate $l (with "" (instance (export "live" (func $live))))))
  (func (export "live") (result u32) (canon lift (core func $li "live"))))

(assert_return (invoke "live") (u32.const 0))
(assert_return (invoke "keep" (u32.const 11)) (u32.const 1))
(assert_return (invoke "keep" (u32.const 22)) (u32.const 2))
(assert_return (invoke "live") (u32.const 2))
(assert_return (invoke "number" (u32.const 1)) (u32.const 11))
(assert_return (invoke "number" (u32.const 2)) (u32.const 22))
(assert_return (invoke "redeem" (u32.const 1)) (u32.const 11))
(assert_return (invoke "live") (u32.const 1))
(assert_return (invoke "drop" (u32.const 2)))
(assert_return (invoke "live") (u32.const 0))
(assert_return (invoke "many") (u32.const 2))
(assert_return (invoke "live") (u32.const 1))
;; Handle 1 was given away: it is nobody's.
(assert_trap (invoke "number" (u32.const 1)) "unknown handle index 1")

;; A component's own resource, with a destructor that counts; another component owns, borrows and drops it.
(component definition $Pair
  (component $Maker
    (core module $counts
      (global $ended (mut i32) (i32.const 0))
      (func (export "end") (param i32)
        (global.set $ended (i32.add (global.get $ended) (local.get 0))))
      (func (export "ended") (result i32) (global.get $ended)))
    (core instance $counts (instantiate $counts))
    (type $thing' (resource (rep i32) (dtor (func $counts "end"))))
    (core func $new (canon resource.new $thing'))
    (core func $rep (canon resource.rep $thing'))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "rep" (func $rep (param i32) (result i32)))
      (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
      ;; A borrowed resource of one's own comes as what it stands for.
      (func (export "weigh") (param i32) (result i32) (local.get 0))
      ;; One that is owned comes as a handle.
      (func (export "swallow") (param i32) (result i32) (call $rep (local.get 0))))
    (core instance $i (instantiate $m (with "" (instance
      (export "new" (func $new))
      (export "rep" (func $rep))))))
    (export $thing "thing" (type $thing'))
    (func (export "make") (param "weight" u32) (result (own $thing)) (canon lift (core func $i "make")))
    (func (export "weigh") (param "thing" (borrow $thing)) (result u32) (canon lift (core func $i "weigh")))
    (func (export "swallow") (param "thing" (own $thing)) (result u32) (canon lift (core func $i "swallow")))
    (func (export "ended") (result u32) (canon lift (core func $counts "ended"))))
  (component $User
    (import "maker" (instance $maker
      (export "thing" (type $thing (sub resource)))
      (export "make" (func (param "weight" u32) (result (own $thing))))
      (export "weigh" (func (param "thing" (borrow $thing)) (result u32)))
      (export "swallow" (func (param "thing" (own $thing)) (result u32)))))
    (alias export $maker "thing" (type $thing))
    (core func $make (canon lower (func $maker "make")))
    (core func $weigh (canon lower (func $maker "weigh")))
    (core func $swallow (canon lower (func $maker "swallow")))
    (core func $drop (canon resource.drop $thing))
    (core module $m
      (import "" "make" (func $make (param i32) (result i32)))
      (import "" "weigh" (func $weigh (param i32) (result i32)))
      (import "" "swallow" (func $swallow (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "make") (param i32) (result i32) (call $make (local.get 0)))
      (func (export "weigh") (param i32) (result i32) (call $weigh (local.get 0)))
      (func (export "swallow") (param i32) (result i32) (call $swallow (local.get 0)))
      (func (export "drop") (param i32) (call $drop (local.get 0)))
      (func (export "swallow-and-weigh") (param i32) (result i32)
        (drop (call $swallow (local.get 0)))
        (call $weigh (local.get 0)))
      (func (export "drop-twice") (param i32)
        (call $drop (local.get 0))
        (call $drop (local.get 0))))
    (core instance $i (instantiate $m (with "" (instance
      (export "make" (func $make))
      (export "weigh" (func $weigh))
      (export "swallow" (func $swallow))
      (export "drop" (func $drop))))))
    (func (export "make") (param "weight" u32) (result u32) (canon lift (core func $i "make")))
    (func (export "weigh") (param "handle" u32) (result u32) (canon lift (core func $i "weigh")))
    (func (export "swallow") (param "handle" u32) (result u32) (canon lift (core func $i "swallow")))
    (func (export "drop") (param "handle" u32) (canon lift (core func $i "drop")))
    (func (export "swallow-and-weigh") (param "handle" u32) (result u32) (canon lift (core func $i "swallow-and-weigh")))
    (func (export "drop-twice") (param "handle" u32) (canon lift (core func $i "drop-twice"))))
  (instance $maker (instantiate $Maker))
  (instance $user (instantiate $User (with "maker" (instance $maker))))
  (export "maker" (instance $maker))
  (export "make" (func $user "make"))
  (export "weigh" (func $user "weigh"))
  (export "swallow" (func $user "swallow"))
  (export "drop" (func $user "drop"))
  (export "swallow-and-weigh" (func $user "swallow-and-weigh"))
  (export "drop-twice" (func $user "drop-twice")))

(component instance $a $Pair)
(component instance $b $Pair)
(assert_return (invoke $a "make" (u32.const 100)) (u32.const 1))
(assert_return (invoke $a "make" (u32.const 200)) (u32.const 2))
(assert_return (invoke $a "weigh" (u32.const 1)) (u32.const 100))
(assert_return (invoke $a "weigh" (u32.const 2)) (u32.const 200))
(assert_return (invoke $a "maker#ended") (u32.const 0))
(assert_return (invoke $a "drop" (u32.const 1)))
(assert_return (invoke $a "maker#ended") (u32.const 100))
;; Whoever is given a resource and keeps it has not ended it.
(assert_return (invoke $a "swallow" (u32.const 2)) (u32.const 200))
(assert_return (invoke $a "maker#ended") (u32.const 100))
;; Another instance has handles of its own.
(assert_trap (invoke $b "weigh" (u32.const 1)) "unknown handle index 1")

(component instance $c $Pair)
(assert_return (invoke $c "make" (u32.const 5)) (u32.const 1))
(assert_trap (invoke $c "swallow-and-weigh" (u32.const 1)) "unknown handle index 1")
;; What has trapped is not entered again.
(assert_trap (invoke $c "make" (u32.const 5)) "cannot enter component instance")

(component instance $d $Pair)
(assert_return (invoke $d "make" (u32.const 5)) (u32.const 1))
(assert_trap (invoke $d "drop-twice" (u32.const 1)) "unknown handle index 1")
(component instance $e $Pair)
(assert_trap (invoke $e "weigh" (u32.const 0)) "unknown handle index 0")
(component instance $f $Pair)
(assert_trap (invoke $f "drop" (u32.const 0x7fffffff)) "unknown handle index 2147483647")

;; Who borrows must give back before returning, and cannot give away what is lent.
(component definition $Borrowers
  (component $Lender
    (type $thing' (resource (rep i32)))
    (core func $new (canon resource.new $thing'))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (func (export "make") (result i32) (call $new (i32.const 9))))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
    (export $thing "thing" (type $thing'))
    (func (export "make") (result (own $thing)) (canon lift (core func $i "make"))))
  (component $Borrower
    (import "lender" (instance $lender (export "thing" (type $thing (sub resource)))))
    (alias export $lender "thing" (type $thing))
    (core func $drop (canon resource.drop $thing))
    (core module $m
      (import "" "drop" (func $drop (param i32)))
      (func (export "give-back") (param i32) (call $drop (local.get 0)))
      (func (export "keep") (param i32)))
    (core instance $i (instantiate $m (with "" (instance (export "drop" (func $drop))))))
    (func (export "give-back") (param "thing" (borrow $thing)) (canon lift (core func $i "give-back")))
    (func (export "keep") (param "thing" (borrow $thing)) (canon lift (core func $i "keep"))))
  (component $Owner
    (import "lender" (instance $lender
      (export "thing" (type $thing (sub resource)))
      (export "make" (func (result (own $thing))))))
    (alias export $lender "thing" (type $thing))
    (import "borrower" (instance $borrower
      (export "give-back" (func (param "thing" (borrow $thing))))
      (export "keep" (func (param "thing" (borrow $thing))))))
    (core func $make (canon lower (func $lender "make")))
    (core func $give-back (canon lower (func $borrower "give-back")))
    (core func $keep (canon lower (func $borrower "keep")))
    (core func $drop (canon resource.drop $thing))
    (core module $m
      (import "" "make" (func $make (result i32)))
      (import "" "give-back" (func $give-back (param i32)))
      (import "" "keep" (func $keep (param i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "lend") (result i32)
        (local $thing i32)
        (local.set $thing (call $make))
        (call $give-back (local.get $thing))
        (call $give-back (local.get $thing))
        (call $drop (local.get $thing))
        (local.get $thing))
      (func (export "lend-to-a-keeper") (call $keep (call $make))))
    (core instance $i (instantiate $m (with "" (instance
      (export "make" (func $make))
      (export "give-back" (func $give-back))
      (export "keep" (func $keep))
      (export "drop" (func $drop))))))
    (func (export "lend") (result u32) (canon lift (core func $i "lend")))
    (func (export "lend-to-a-keeper") (canon lift (core func $i "lend-to-a-keeper"))))
  (instance $lender (instantiate $Lender))
  (instance $borrower (instantiate $Borrower (with "lender" (instance $lender))))
  (instance $owner (instantiate $Owner
    (with "lender" (instance $lender))
    (with "borrower" (instance $borrower))))
  (export "lend" (func $owner "lend"))
  (export "lend-to-a-keeper" (func $owner "lend-to-a-keeper")))

(component instance $g $Borrowers)
(assert_return (invoke $g "lend") (u32.const 1))
(assert_return (invoke $g "lend") (u32.const 1))
(assert_trap (invoke $g "lend-to-a-keeper") "borrow handles still remain at the end of the call")

;; Only whoever defines a resource makes and unwraps it.
(assert_invalid
  (component
    (import "thing" (type $thing (sub resource)))
    (core func (canon resource.new $thing)))
  "not a local resource")
(assert_invalid
  (component
    (import "thing" (type $thing (sub resource)))
    (core func (canon resource.rep $thing)))
  "not a local resource")
;; Nothing borrowed is returned.
(assert_invalid
  (component
    (import "thing" (type $thing (sub resource)))
    (import "f" (func (result (borrow $thing)))))
  "function result cannot contain a `borrow` type")
;; What the host's resource is, is the host's.
(assert_unlinkable
  (component
    (import "host" (instance (export "counter" (type (sub resource))))))
  "resource implementation is missing")
