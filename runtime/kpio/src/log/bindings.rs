//! What `bindgen!` makes of the WIT of `kpio:log`.

include!(concat!(env!("OUT_DIR"), "/log.rs"));

log_bindgen! {
    world: "kpio:log/host",
    imports: { default: trappable | tracing },
    require_store_data_send: true,
    with: {
        "wasi": runtime_wasi::bindings::wasi,
        "kpio:log/source.cursor": super::source::Place,
    },
}
