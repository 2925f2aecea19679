import { manualClock, type Clock, type ManualClock, type Random } from "@tidegate/clock";
import { createLimitReport, type LimitReport } from "../src/limiter.ts";
import type { LimitDefinition } from "../src/limit-definition.ts";
import type { Admission } from "../src/limit-oracle.ts";
import { createSharedLimiter } from "../src/redis/create-shared-limiter.ts";
import {
  StoreLost,
  type LimitAnswer,
  type LimitAsk,
  type LimitStore,
} from "../src/redis/limit-store.ts";
import { PENDING, SHARED_OUTCOME, type SharedLimiter } from "../src/redis/shared-limiter.ts";
import type { WhenStoreLost } from "../src/redis/shared-plan.ts";
import type { ScriptRunner } from "./redis-script-runner.ts";

/**
 * Several nodes with the real limiter against the real script on a real server, in virtual time, over a network that delays,
 * loses, repeats and reorders; nodes are frozen and crash; the server loses its data. Every admission is written down with the time of its
 * decision, for the oracle. Everything follows from `seed`.
 */
export interface Simulation {
  readonly script: ScriptRunner;
  readonly definition: LimitDefinition;
  readonly seed: number;
  readonly steps: number;
  readonly nodes: number;
  /** Calls of one node in one step at most. */
  readonly most: number;
  readonly faults: "none" | "mild" | "heavy";
  /** Whether the server loses its data and is another run then, now and then. */
  readonly losesData?: boolean;
  readonly whenStoreLost?: WhenStoreLost;
  /** Whether nodes crash and begin anew where faults are heavy. Default true. */
  readonly hasCrashes?: boolean;
  /** Whether there are lulls, in which budgets fill up behind leases that are out, and then everybody comes at once. */
  readonly hasLulls?: boolean;
}

export interface SimulationResult {
  readonly admissions: readonly Admission[];
  readonly asked: number;
  readonly leases: number;
  readonly refused: number;
  readonly unavailable: number;
  /** When a node crashed. */
  readonly crashesAtMs: readonly number[];
}

const STEP_MS = 5;
const EPOCH_MS = 1_795_000_000_000;

export async function simulate(options: Simulation): Promise<SimulationResult> {
  const random = randomFrom(options.seed);
  const base = manualClock(1_000);
  const world = new World(options, base, random);
  await options.script.connection.command(["FLUSHDB"]);
  const nodes = Array.from({ length: options.nodes }, () => new SimulatedNode(world));
  for (let step = 0; step < options.steps; step++) {
    if (options.losesData === true && random.unit() < 0.002) await world.loseData();
    const isLull = options.hasLulls === true && step % 60 >= 20;
    for (const node of nodes) node.step(isLull ? 0.1 : 1);
    // What is decided at the server is written down before the time goes on.
    await world.quiet();
    base.advance(STEP_MS);
    await world.quiet();
  }
  return {
    admissions: world.admissions.toSorted((a, b) => a.atMs - b.atMs),
    asked: world.asked,
    leases: nodes.reduce((sum, node) => sum + node.leases(), 0),
    refused: world.refused,
    unavailable: world.unavailable,
    crashesAtMs: world.crashesAtMs,
  };
}

/** The server, the network and what is written down. */
class World {
  readonly options: Simulation;
  readonly base: ManualClock;
  readonly random: Random;
  readonly admissions: Admission[] = [];
  readonly crashesAtMs: number[] = [];
  readonly #name: string;
  #run = 0;
  #lives = 0;
  asked = 0;
  refused = 0;
  unavailable = 0;
  /** Commands that the real server has not answered yet, and calls that wait for them. */
  readonly #under = new Set<Promise<unknown>>();

  constructor(options: Simulation, base: ManualClock, random: Random) {
    this.options = options;
    this.base = base;
    this.random = random;
    this.#name = `sim${options.seed}-${options.definition.name}`;
  }

  get prefix(): string {
    return this.#name;
  }

  nextLife(): string {
    return `${this.#name}-${++this.#lives}`;
  }

  async loseData(): Promise<void> {
    this.#run++;
    await this.options.script.connection.command(["FLUSHDB"]);
  }

  execute(node: string, tag: number, asks: readonly LimitAsk[]): Promise<LimitAnswer> {
    this.asked++;
    const answer = this.options.script.run(asks, {
      nowUs: (EPOCH_MS + this.base.monotonicMs()) * 1000,
      node,
      tag,
      runId: `run${this.#run}`,
      // The first epoch of a run of tests is begun by nobody before; later ones follow a loss.
      grantsWhenEmpty: this.#run === 0,
    });
    this.#under.add(answer);
    return answer.finally(() => this.#under.delete(answer));
  }

  /** Until the real server answered all, and whoever waited has gone on. */
  async quiet(): Promise<void> {
    for (;;) {
      await Promise.all(this.#under);
      await new Promise((resolve) => void setImmediate(resolve));
      if (this.#under.size === 0) return;
    }
  }

  chance(heavy: number): boolean {
    const part = { none: 0, mild: 0.1, heavy: 1 }[this.options.faults];
    return this.random.unit() < heavy * part;
  }
}

/** One process: its limiter, its clock, its line to the server. */
class SimulatedNode {
  readonly #world: World;
  readonly #report: LimitReport = createLimitReport();
  readonly #drift: number;
  #life = "";
  #limiter: SharedLimiter | undefined;
  #handles = Int32Array.of(0);
  #frozenSteps = 0;
  #waiting: (() => void)[] = [];
  #earlierLeases = 0;

  constructor(world: World) {
    this.#world = world;
    // Within the stated drift of one lease.
    this.#drift = 1 + (world.random.unit() - 0.5) * 0.008;
    this.#start();
  }

  step(load: number): void {
    if (this.#frozenSteps > 0) {
      this.#frozenSteps--;
      if (this.#frozenSteps > 0) return;
      // What was due while it stood still is done now, late.
      for (const task of this.#waiting.splice(0)) task();
    } else if (this.#world.chance(0.01)) {
      this.#frozenSteps = 1 + Math.floor(this.#world.random.unit() * 150);
      return;
    }
    if (this.#world.options.hasCrashes !== false && this.#world.chance(0.005)) {
      this.#world.crashesAtMs.push(this.#world.base.monotonicMs());
      this.#start();
    }
    const { most } = this.#world.options;
    const isAsked = load === 1 || this.#world.random.unit() < load;
    const calls = isAsked ? Math.floor(this.#world.random.unit() * (most + 1)) : 0;
    for (let call = 0; call < calls; call++) this.#call();
    // Now and then it has nothing to do, and hands back what it holds.
    if (this.#world.random.unit() < 0.01) this.#idleSteps = 40;
  }

  leases(): number {
    return this.#earlierLeases + (this.#limiter?.statistics().leasesGranted ?? 0);
  }

  #idleSteps = 0;

  #call(): void {
    if (this.#idleSteps > 0) {
      this.#idleSteps--;
      return;
    }
    const { random, options, base } = this.#world;
    const capacity = options.definition.kind === "bucket" ? options.definition.burst : 10;
    const cost = random.unit() < 0.9 ? 1 : 1 + Math.floor(random.unit() * Math.min(5, capacity));
    const costs = Int32Array.of(cost);
    const limiter = this.#limiter!;
    const outcome = limiter.acquire(
      this.#handles,
      costs,
      1,
      this.#clock.monotonicMs(),
      this.#report,
    );
    if (outcome !== PENDING) return this.#note(outcome, base.monotonicMs(), cost);
    const { signal } = new AbortController();
    void limiter
      .acquireRemote(this.#handles, costs, 1, createLimitReport(), undefined, signal)
      // A node that crashed meanwhile has told nobody.
      .then((then) => limiter === this.#limiter && this.#note(then, base.monotonicMs(), cost));
  }

  #note(outcome: number, atMs: number, cost: number): void {
    if (outcome === SHARED_OUTCOME.admitted) this.#world.admissions.push({ atMs, cost });
    else if (outcome === SHARED_OUTCOME.unavailable) this.#world.unavailable++;
    else this.#world.refused++;
  }

  /** Begins a life; what the one before held is lost. */
  #start(): void {
    const { options, random } = this.#world;
    this.#earlierLeases = this.leases();
    this.#life = this.#world.nextLife();
    this.#waiting = [];
    const { definition, whenStoreLost = "deny" } = options;
    this.#limiter = createSharedLimiter({
      limits: new Map([[0, { definition, whenStoreLost }]]),
      store: this.#store(this.#life),
      clock: this.#clock,
      random,
      prefix: this.#world.prefix,
      nodes: options.nodes,
      budgetMs: 40,
    });
    this.#handles = Int32Array.of(this.#limiter.intern(0, "ada"));
  }

  readonly #clock: Clock = {
    monotonicMs: () => this.#world.base.monotonicMs() * this.#drift,
    wallMs: () => EPOCH_MS + this.#world.base.monotonicMs() * this.#drift,
    after: (delayMs, task) => {
      const life = this.#life;
      let isCancelled = false;
      const run = (): void => {
        if (isCancelled || life !== this.#life) return;
        if (this.#frozenSteps > 0) this.#waiting.push(run);
        else task();
      };
      const timer = this.#world.base.after(delayMs / this.#drift, run);
      return {
        cancel() {
          isCancelled = true;
          timer.cancel();
        },
      };
    },
  };

  /** The line: requests and replies take their time, get lost, come twice and out of order. */
  #store(life: string): LimitStore {
    const world = this.#world;
    const delayMs = (): number =>
      world.chance(0.5) ? STEP_MS * Math.floor(world.random.unit() * 80) : 0;
    return {
      isUp: true,
      wallMs: () => EPOCH_MS + world.base.monotonicMs(),
      statistics: () => ({ state: "up", asked: 0, timedOut: 0, failed: 0, reloaded: 0, losses: 0 }),
      ask: (tag, asks, budgetMs) => {
        // What is spent at the store is decided there; its reply takes no time here, so that both times are one.
        const isDirect = asks.some(({ seq, need }) => seq === 0 && need > 0);
        return new Promise<LimitAnswer>((resolve, reject) => {
          const timer = this.#clock.after(budgetMs, () => reject(new StoreLost("too late")));
          const arrive = async (): Promise<void> => {
            const answer = await world.execute(life, tag, asks);
            if (world.chance(0.2)) return;
            const replyMs = isDirect ? 0 : delayMs();
            const reply = (): void => {
              if (life !== this.#life) return;
              if (this.#frozenSteps > 0) {
                if (!isDirect) this.#waiting.push(reply);
                return;
              }
              timer.cancel();
              resolve(answer);
            };
            if (replyMs === 0) reply();
            else world.base.after(replyMs, reply);
          };
          if (world.chance(0.2)) return;
          const sendMs = delayMs();
          if (sendMs === 0) void arrive();
          else world.base.after(sendMs, () => void arrive());
          if (world.chance(0.2))
            world.base.after(delayMs() + 1, () => void world.execute(life, tag, asks));
        });
      },
      async [Symbol.asyncDispose]() {},
    };
  }
}

/** Numbers that follow from a seed (mulberry32). */
function randomFrom(seed: number): Random {
  let state = seed * 2_654_435_761;
  const unit = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    unit,
    bytes: (count) => Buffer.from(Array.from({ length: count }, () => Math.floor(unit() * 256))),
  };
}
