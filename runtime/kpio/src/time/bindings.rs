//! What `bindgen!` makes of the WIT of `kpio:time`.

include!(concat!(env!("OUT_DIR"), "/time.rs"));

time_bindgen! {
    world: "kpio:time/host",
    imports: { default: trappable | tracing },
    require_store_data_send: true,
}
