//! The top of the kernel: everything below linked into one image, and started.
extern crate kernel_libc;
extern crate unwinding;
use rustix as _;

kernel_machine::entry_point!(main);

fn main(hand_over: kernel_machine::cpu::entry::HandOver) -> ! {
    let info = kernel_core::start(&hand_over);
    log::info!("command line: {:?}", kernel_core::log::command_line(&info));
    println!("hello from std in ring 0");
    let threads: Vec<_> = (0..4).map(|i| std::thread::spawn(move || { let mut x = 0u64; let t = std::time::Instant::now(); while t.elapsed().as_millis() < 200 { x += 1; } println!("thread {i}: {x}"); x })).collect();
    let sum: u64 = threads.into_iter().map(|t| t.join().unwrap()).sum();
    println!("joined {sum}");
    let r = std::panic::catch_unwind(|| { let v: Vec<u8> = vec![]; let i = std::hint::black_box(3); v[i] });
    println!("caught {}", r.is_err());
    std::thread::sleep(std::time::Duration::from_millis(100));
    let e = wasmtime::Engine::default();
    let m = wasmtime::Module::new(&e, r#"(module (memory 1) (func (export "f") (param i32) (result i32) local.get 0 i32.const 41 i32.add) (func (export "t") (param i32) (result i32) local.get 0 i32.load))"#);
    match m { Ok(m) => { let mut s = wasmtime::Store::new(&e, ()); let i = wasmtime::Instance::new(&mut s, &m, &[]).unwrap();
      println!("f(1)={:?}", i.get_typed_func::<i32,i32>(&mut s, "f").unwrap().call(&mut s, 1));
      println!("t(1<<20)={:?}", i.get_typed_func::<i32,i32>(&mut s, "t").unwrap().call(&mut s, 1<<20)); }
      Err(e) => println!("{e:?}") }
    println!("{:?}", kernel_core::memory::frames::statistics());
    kernel_core::power::power_off()
}
