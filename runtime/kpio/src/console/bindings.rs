//! What `bindgen!` makes of the WIT of `kpio:console`.

include!(concat!(env!("OUT_DIR"), "/console.rs"));

console_bindgen! {
    world: "kpio:console/shower",
    imports: { default: trappable | tracing },
    require_store_data_send: true,
    with: {
        "wasi": runtime_wasi::bindings::wasi,
        "kpio:console/devices.console": super::devices::Held,
    },
}
