//! The `stencil` command line. It uses the library through its public API only.
#![forbid(unsafe_code)]

mod cli;

/// mimalloc keeps freed pages: every step allocates and frees the same few large buffers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
