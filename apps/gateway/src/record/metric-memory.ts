/** A block of counters of one thread: what they count, and the memory they are in. */
export interface MetricBlock {
  readonly kind: "route" | "messages" | "limits" | "limit-store" | "penalties";
  readonly routeId: string;
  /** The upstream's name; empty where there is none. */
  readonly upstream: string;
  /** Names the cells are laid out by: message classes, or limits. Empty for `route`. */
  readonly names: readonly string[];
  /** 0 or 1 for messages (`TOWARDS`), 0 elsewhere. */
  readonly towards: number;
  /** Over shared memory, written by the thread that claimed it and read by whoever renders. */
  readonly cells: Float64Array;
}

/**
 * The counters of one thread. Only that thread adds, so adding is a plain store; others only read. A block lives as
 * long as the process: counters never go back, and a relay may hold one after a reload replaced its route.
 */
export interface MetricMemory {
  /** The block of that description, made at first sight. Equal descriptions share one. */
  claim(description: Omit<MetricBlock, "cells">, length: number): Float64Array;
  readonly blocks: readonly MetricBlock[];
}

// Every configuration of a process's life adds the routes it brings, so this has an end. 16,384 blocks are some
// 4,000 routes with sockets and limits, at 2 to 4 KB each. Beyond it, counts go to memory that nobody reads, and
// `tidegate_metric_blocks` shows that the bound is reached.
const MAX_BLOCKS = 16_384;

export function createMetricMemory(maxBlocks = MAX_BLOCKS): MetricMemory {
  const byKey = new Map<string, MetricBlock>();
  const blocks: MetricBlock[] = [];
  return {
    claim(description, length) {
      const { kind, routeId, upstream, names, towards } = description;
      const key = JSON.stringify([kind, routeId, upstream, towards, names]);
      const known = byKey.get(key);
      if (known !== undefined) return known.cells;
      const cells = new Float64Array(
        new SharedArrayBuffer(length * Float64Array.BYTES_PER_ELEMENT),
      );
      if (blocks.length < maxBlocks) {
        const block = { ...description, cells };
        byKey.set(key, block);
        blocks.push(block);
      }
      return cells;
    },
    blocks,
  };
}
