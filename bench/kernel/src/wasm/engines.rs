//! The engines that are measured: the product's settings, with the two ways to get memory that the peer compares.

use runtime_engine::settings;
use runtime_platform::code_memory;
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Result, format_err,
};

/// As the workspace's manifest pins it.
const WASMTIME: &str = "48.0.8";
/// Slots of each kind in the pool, as the peer's has.
const SLOTS: u32 = 64;
/// Address space of one memory in the pool, in bytes, as in the peer's.
const POOL_MEMORY_BYTES: usize = 256 << 20;

/// One engine of each kind.
pub struct Engines {
    /// Memory on demand; one thread compiles.
    pub single: Engine,
    /// The same; as many threads compile as there are CPUs.
    pub parallel: Engine,
    /// Memory from a pool; one thread compiles.
    pub pool: Engine,
}

impl Engines {
    /// Makes them.
    pub fn new() -> Result<Self> {
        Ok(Self {
            single: Engine::new(config()?.parallel_compilation(false))?,
            parallel: Engine::new(config()?.parallel_compilation(true))?,
            pool: Engine::new(&pooled()?)?,
        })
    }
}

fn config() -> Result<Config> {
    let mut config = settings::local_config().map_err(|error| format_err!("{error}"))?;
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    config.with_custom_code_memory(Some(code_memory::new()));
    Ok(config)
}

fn pooled() -> Result<Config> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(SLOTS)
        .total_memories(SLOTS)
        .total_tables(SLOTS)
        .total_stacks(SLOTS)
        .total_component_instances(SLOTS)
        .max_memory_size(POOL_MEMORY_BYTES);
    let mut config = config()?;
    config
        .parallel_compilation(false)
        .memory_reservation(POOL_MEMORY_BYTES as u64)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Ok(config)
}

/// The product's settings in words, for those who compare.
pub fn description() -> String {
    let config = settings::local_config().map(|config| format!("{config:?}"));
    let config = config.unwrap_or_default();
    // WebAssembly's features are those of the version on either side.
    let fields = config
        .trim_start_matches("Config { ")
        .trim_end_matches(" }")
        .split(", ");
    let fields: Vec<&str> = fields.filter(|field| !field.starts_with("wasm_")).collect();
    format!("Wasmtime {WASMTIME}, {}", fields.join(", "))
}
