//! What `bindgen!` makes of the WIT: a trait per interface, implemented in the module of its name.

include!(concat!(env!("OUT_DIR"), "/wit.rs"));

wit_bindgen! {
    world: "kpio:process/shell",
    imports: { default: trappable | tracing },
    require_store_data_send: true,
    with: {
        "wasi": runtime_wasi::bindings::wasi,
        "kpio:process/processes.process": crate::processes::ChildHandle,
    },
}

/// The same for what services have to do with the system.
pub(crate) mod service {
    wit_bindgen! {
        world: "kpio:service/host",
        imports: { default: trappable | tracing },
        require_store_data_send: true,
        with: {
            "wasi": runtime_wasi::bindings::wasi,
        },
    }
}
