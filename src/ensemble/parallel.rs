//! Chunks of paths in parallel, folded in the order of the paths.

use super::Ensemble;
use super::accumulator::{Accumulator, Collector, Plan};
use super::block::Block;
use super::laws::LAW_BATCHES;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The user asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// Lets the outside world watch and stop a run.
#[derive(Debug, Default)]
pub struct Control {
    /// Set to stop at the next block.
    pub stop: AtomicBool,
    /// Path-steps done so far.
    pub done: AtomicU64,
}

impl Control {
    /// An error if the run is to stop.
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.stop.load(Ordering::Relaxed) {
            Err(Interrupted)
        } else {
            Ok(())
        }
    }
}

/// Chunks per thread that are in flight or waiting to be folded; bounds the memory.
const WAVE: usize = 8;

impl Ensemble {
    /// Statistics of the paths in `range`, in chunks of `chunk` paths (rounded up to whole blocks).
    ///
    /// The result depends on `range` and `chunk` but not on the number of threads: chunks are folded in order.
    ///
    /// # Errors
    /// [`Interrupted`] when `control.stop` was set.
    pub fn run(
        &self,
        plan: &Plan,
        range: Range<u64>,
        chunk: u64,
        control: &Control,
    ) -> Result<Accumulator, Interrupted> {
        let chunk = chunk.max(1).next_multiple_of(self.block_paths());
        let mut total = Collector::new(self, plan, 0).finish();
        total.laws.clear();
        let chunks = (range.end - range.start.min(range.end)).div_ceil(chunk);
        let wave_size = (WAVE * rayon::current_num_threads()) as u64;
        let mut first = 0;
        while first < chunks {
            let wave = first..(first + wave_size).min(chunks);
            let parts: Result<Vec<Accumulator>, Interrupted> = wave
                .clone()
                .into_par_iter()
                .map(|c| {
                    let start = range.start + c * chunk;
                    let batch = (start / chunk) as usize % LAW_BATCHES;
                    self.run_chunk(plan, start..(start + chunk).min(range.end), batch, control)
                })
                .collect();
            for part in parts? {
                total.merge(&part);
            }
            first = wave.end;
        }
        Ok(total)
    }

    fn run_chunk(
        &self,
        plan: &Plan,
        range: Range<u64>,
        batch: usize,
        control: &Control,
    ) -> Result<Accumulator, Interrupted> {
        let mut block = Block::new(self);
        let mut collector = Collector::new(self, plan, batch);
        let mut first = range.start;
        while first < range.end {
            control.check()?;
            let count = (range.end - first).min(block.paths());
            block.run(self, first, count, &mut collector);
            collector.total.started += count;
            control
                .done
                .fetch_add(count * self.work_per_path(), Ordering::Relaxed);
            first += count;
        }
        Ok(collector.finish())
    }
}
