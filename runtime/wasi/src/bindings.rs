//! What `bindgen!` makes of the WIT: a trait per interface, implemented in the module of its name.
//!
//! Guests built against an older 0.2 link as well: Wasmtime matches imports by semantic version.
#![expect(missing_docs, reason = "generated; the WIT documents it")]

include!(concat!(env!("OUT_DIR"), "/wit.rs"));

wit_bindgen! {
    world: "wasi:cli/command",
    imports: { default: trappable | tracing },
    require_store_data_send: true,
    trappable_error_type: {
        "wasi:filesystem/types.error-code" => crate::filesystem::FilesystemError,
        "wasi:io/streams.stream-error" => crate::io::StreamError,
    },
    with: {
        "wasi:io/error.error": crate::io::IoError,
        "wasi:io/poll.pollable": crate::io::Pollable,
        "wasi:io/streams.input-stream": crate::io::InputStream,
        "wasi:io/streams.output-stream": crate::io::OutputStream,
        "wasi:filesystem/types.descriptor": crate::filesystem::Descriptor,
        "wasi:filesystem/types.directory-entry-stream": crate::filesystem::DirectoryEntryStream,
        "wasi:sockets/network.network": crate::sockets::Network,
        "wasi:cli/terminal-input.terminal-input": crate::cli::TerminalInput,
        "wasi:cli/terminal-output.terminal-output": crate::cli::TerminalOutput,
    },
}
