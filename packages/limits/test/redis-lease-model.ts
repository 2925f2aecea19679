// Longer than 400 lines: the protocol, its network and its mutants are one model, checked as one.

/**
 * The lease protocol as a small machine, for exhaustive search: two nodes, one limit of two units, a network that delays, loses
 * and repeats, nodes that crash, a store that loses its data. Written from the rules, not from the code. Times are relative, so
 * the search covers runs of any length; what may be asked is every interleaving.
 *
 * The rules it checks (each with a mutant that breaks it, see `MUTANTS`):
 * a node may spend a lease until TTL after it sent the request; the store takes it as spent when TTL has passed since it granted it;
 * an ask that was given up may be ended as unused, and its reply is not taken in;
 * a spent unit of a window cools for W; a bucket refills no further than its brim less what is leased; an end names its lease
 * and a node has stopped using it before; after a loss nothing is granted until the last forgotten lease has cooled.
 */
export interface Model {
  readonly kind: "window" | "bucket";
  readonly mutant: Mutant | "none";
  /** Whether the store may lose its data at any time; searched apart, as it multiplies the states. */
  readonly losesData: boolean;
  /** Ticks of the window. */
  readonly span: number;
}

export const MUTANTS = {
  deadlineFromReply: ["window", "bucket"],
  deadlineIgnored: ["window", "bucket"],
  expiredIsFree: ["window", "bucket"],
  coolDownShort: ["window"],
  lateEndAccepted: ["window", "bucket"],
  spendsWhileEnding: ["window", "bucket"],
  refillToBrim: ["bucket"],
  unnamedEnd: ["window", "bucket"],
  seqReused: ["window", "bucket"],
  olderReplyAccepted: ["window", "bucket"],
  givenUpIsUsed: ["window", "bucket"],
  lossIgnored: ["window", "bucket"],
  lossForgivenAfterSpan: ["window"],
} as const satisfies Record<string, readonly Model["kind"][]>;
export type Mutant = keyof typeof MUTANTS;

export interface SearchResult {
  readonly states: number;
  /** Steps of the shortest run that admits too much; undefined when there is none. */
  readonly violation: readonly string[] | undefined;
  readonly isComplete: boolean;
}

/** Units of the limit; ticks that a unit of the bucket takes to refill; ticks that a lease lives. */
const N = 2;
const U = 2;
const TTL = 2;

interface Held {
  seq: number;
  units: number;
  left: number;
  deadline: number;
}
interface End {
  seq: number;
  units: number;
  spent: number;
}
interface Node {
  held: Held[];
  ends: End[];
  sent: { seq: number; age: number } | undefined;
}
interface State {
  /** window: ticks until each spent unit is free. */
  cool: number[];
  /** bucket: refilled ticks. */
  available: number;
  leases: { node: number; seq: number; units: number; expires: number }[];
  /** Ticks in which nothing is granted. */
  learning: number;
  nodes: Node[];
  request: { node: number; seq: number; want: number; ends: End[] } | undefined;
  reply: { node: number; seq: number; units: number } | undefined;
  /** What the oracle remembers. window: ages of admissions younger than W. bucket: how much more than its rate was admitted. */
  ages: number[];
  excess: number;
}

/**
 * Breadth first over all states, until one admits too much or `mostStates` were seen.
 * @param keepsDead whether what can have no effect any more tells states apart; always so for mutants, where it may have one
 */
export function search(model: Model, mostStates: number, keepsDead = false): SearchResult {
  const first = encode(START);
  const seen = new Map<string, { readonly from: string; readonly step: string } | undefined>();
  seen.set(first, undefined);
  let frontier: [string, State][] = [[first, START]];
  while (frontier.length > 0) {
    const next: [string, State][] = [];
    for (const [from, state] of frontier) {
      for (const [step, reached] of stepsOf(state, model)) {
        const to = model.mutant === "none" && !keepsDead ? withoutDead(reached) : reached;
        const name = encode(to);
        if (seen.has(name)) continue;
        seen.set(name, { from, step });
        if (isTooMuch(to, model)) {
          return { states: seen.size, violation: pathTo(name, seen), isComplete: false };
        }
        if (seen.size >= mostStates) {
          return { states: seen.size, violation: undefined, isComplete: false };
        }
        next.push([name, to]);
      }
    }
    frontier = next;
  }
  return { states: seen.size, violation: undefined, isComplete: true };
}

/** Drops what can have no effect any more under the true rules, so that fewer states are told apart. */
function withoutDead(state: State): State {
  const isLive =
    (index: number) =>
    (told: End): boolean =>
      state.leases.some(({ node, seq }) => node === index && seq === told.seq) ||
      // Given up, and still on its way.
      (state.request?.node === index && state.request.seq === told.seq);
  const { request, reply } = state;
  const nodes = state.nodes.map(({ held, ends, sent }, index) => ({
    held: held.filter((lease) => lease.left > 0 || isLive(index)({ ...lease, spent: 0 })),
    ends: ends.filter(isLive(index)),
    // A reply would bring a lease that is over already.
    sent: sent === undefined || sent.age >= TTL ? undefined : sent,
  }));
  return {
    ...state,
    nodes,
    request: request && { ...request, ends: request.ends.filter(isLive(request.node)) },
    // Only the reply to what was sent last is taken in.
    reply: reply !== undefined && nodes[reply.node]!.sent?.seq === reply.seq ? reply : undefined,
  };
}

const START: State = {
  cool: [],
  available: N * U,
  leases: [],
  learning: 0,
  nodes: [
    { held: [], ends: [], sent: undefined },
    { held: [], ends: [], sent: undefined },
  ],
  request: undefined,
  reply: undefined,
  ages: [],
  excess: 0,
};

function isTooMuch(state: State, { kind }: Model): boolean {
  return kind === "window" ? state.ages.length > N : state.excess > N * U;
}

function* stepsOf(state: State, model: Model): Generator<[string, State]> {
  yield ["tick", tick(state, model)];
  if (state.request !== undefined) {
    if (state.reply === undefined) {
      yield ["the store hears the request", execute(state, model, { isRepeated: false })];
      yield [
        "the store hears it and it will come again",
        execute(state, model, { isRepeated: true }),
      ];
    }
    yield ["the request is lost", { ...state, request: undefined }];
  }
  if (state.reply !== undefined) {
    yield ["the reply arrives", receive(state, model)];
    yield ["the reply is lost", { ...state, reply: undefined }];
  }
  if (
    model.losesData &&
    (state.leases.length > 0 || state.cool.length > 0 || state.available < N * U)
  )
    yield ["the store loses its data", lose(state, model)];
  if (freeUnits(state, model) >= 1)
    yield ["a call spends a unit at the store", spendDirect(state, model)];
  for (const [index, node] of state.nodes.entries()) {
    if (node.sent === undefined && state.request === undefined) {
      for (const want of [1, 2])
        yield [`node ${index} asks for ${want}`, send(state, model, index, want)];
    }
    if (node.sent !== undefined) {
      yield [`node ${index} waits no longer`, withNode(state, index, { ...node, sent: undefined })];
      if (node.ends.length === 0)
        yield [`node ${index} gives lease ${node.sent.seq} up`, giveUp(state, model, index)];
    }
    for (const [at, lease] of node.held.entries()) {
      if (lease.left > 0)
        yield [`node ${index} spends of lease ${lease.seq}`, spend(state, model, index, at)];
      if (node.ends.length === 0 && !node.ends.some(({ seq }) => seq === lease.seq))
        yield [`node ${index} ends lease ${lease.seq}`, end(state, model, index, at)];
    }
    if (node.held.length > 0 || node.ends.length > 0 || node.sent !== undefined)
      yield [
        `node ${index} crashes`,
        withNode(state, index, { held: [], ends: [], sent: undefined }),
      ];
  }
}

function freeUnits(state: State, { kind }: Model): number {
  if (state.learning > 0) return 0;
  if (kind === "bucket") return Math.floor(state.available / U);
  return Math.max(0, N - state.cool.length - leasedUnits(state));
}

function leasedUnits(state: State): number {
  return state.leases.reduce((sum, lease) => sum + lease.units, 0);
}

function tick(state: State, model: Model): State {
  const isWindow = model.kind === "window";
  const expired = state.leases.filter(({ expires }) => expires === 1);
  const leases = state.leases
    .filter(({ expires }) => expires > 1)
    .map((lease) => ({ ...lease, expires: lease.expires - 1 }));
  const cool = state.cool.filter((left) => left > 1).map((left) => left - 1);
  let { available } = state;
  if (!isWindow && state.learning === 0) {
    // Leases that end with this tick have held the refill off until its end.
    const brim = model.mutant === "refillToBrim" ? N * U : (N - leasedUnits(state)) * U;
    available = Math.max(available, Math.min(brim, available + 1));
  }
  for (const { units } of expired) {
    if (isWindow && model.mutant !== "expiredIsFree")
      for (let i = 0; i < units; i++) cool.push(model.span);
    if (!isWindow && model.mutant === "expiredIsFree")
      available = Math.min(N * U, available + units * U);
  }
  return {
    ...state,
    leases,
    cool: cool.toSorted(),
    available,
    learning: Math.max(0, state.learning - 1),
    nodes: state.nodes.map(({ held, ends, sent }) => ({
      ends,
      held: held
        .map((lease) => ({ ...lease, deadline: Math.max(0, lease.deadline - 1) }))
        .filter(({ deadline }) => deadline > 0 || model.mutant === "deadlineIgnored"),
      sent: sent === undefined ? undefined : { seq: sent.seq, age: Math.min(TTL, sent.age + 1) },
    })),
    ages: state.ages.filter((age) => age + 1 < model.span).map((age) => age + 1),
    excess: Math.max(0, state.excess - 1),
  };
}

function send(state: State, model: Model, index: number, want: number): State {
  const node = state.nodes[index]!;
  const seq = model.mutant === "seqReused" ? 1 : 1 + highestSeq(state, index);
  return withNode({ ...state, request: { node: index, seq, want, ends: node.ends } }, index, {
    ...node,
    ends: [],
    sent: { seq, age: 0 },
  });
}

/** What the script does. */
function execute(state: State, model: Model, { isRepeated }: { isRepeated: boolean }): State {
  const { node, seq, want, ends } = state.request!;
  let { leases, cool, available } = state;
  const isWindow = model.kind === "window";
  for (const told of ends) {
    const isMeant = (lease: State["leases"][number]): boolean =>
      lease.node === node && (lease.seq === told.seq || model.mutant === "unnamedEnd");
    const lease = leases.find(isMeant);
    if (lease === undefined) {
      if (model.mutant !== "lateEndAccepted") continue;
      const unspent = told.units - told.spent;
      if (isWindow) cool = cool.slice(0, Math.max(0, cool.length - unspent));
      else available = Math.min(N * U, available + unspent * U);
      continue;
    }
    leases = leases.filter((other) => other !== lease);
    const spent = Math.min(told.spent, lease.units);
    const rest = model.mutant === "coolDownShort" ? model.span - 1 : model.span;
    if (isWindow) cool = [...cool, ...Array.from({ length: spent }, () => rest)].toSorted();
    else available += (lease.units - spent) * U;
  }
  const again = leases.find((lease) => lease.node === node && lease.seq === seq);
  const settled = { ...state, leases, cool, available };
  const units = again?.units ?? Math.min(want, freeUnits(settled, model));
  if (again === undefined && units > 0) {
    settled.leases = [...leases, { node, seq, units, expires: TTL }];
    if (!isWindow) settled.available = available - units * U;
  }
  return {
    ...settled,
    request: isRepeated ? state.request : undefined,
    reply: units > 0 ? { node, seq, units } : undefined,
  };
}

function receive(state: State, model: Model): State {
  const { node: index, seq, units } = state.reply!;
  const node = state.nodes[index]!;
  const rest = { ...state, reply: undefined };
  if (node.sent === undefined) return rest;
  if (node.sent.seq !== seq && model.mutant !== "olderReplyAccepted") return rest;
  const deadline = model.mutant === "deadlineFromReply" ? TTL : TTL - node.sent.age;
  const held = deadline > 0 ? [...node.held, { seq, units, left: units, deadline }] : node.held;
  return withNode(rest, index, { ...node, held, sent: undefined });
}

function spend(state: State, model: Model, index: number, at: number): State {
  const node = state.nodes[index]!;
  const held = node.held.with(at, { ...node.held[at]!, left: node.held[at]!.left - 1 });
  return admit(withNode(state, index, { ...node, held }), model);
}

function spendDirect(state: State, model: Model): State {
  const taken =
    model.kind === "window"
      ? { ...state, cool: [...state.cool, model.span].toSorted() }
      : { ...state, available: state.available - U };
  return admit(taken, model);
}

function admit(state: State, { kind }: Model): State {
  return kind === "window"
    ? { ...state, ages: [0, ...state.ages] }
    : { ...state, excess: state.excess + U };
}

function end(state: State, model: Model, index: number, at: number): State {
  const node = state.nodes[index]!;
  const lease = node.held[at]!;
  const held = model.mutant === "spendsWhileEnding" ? node.held : node.held.toSpliced(at, 1);
  const told = { seq: lease.seq, units: lease.units, spent: lease.units - lease.left };
  return withNode(state, index, { ...node, held, ends: [...node.ends, told] });
}

/** Names what may have been granted as unused, and does not take it in any more. */
function giveUp(state: State, { mutant }: Model, index: number): State {
  const node = state.nodes[index]!;
  const told = { seq: node.sent!.seq, units: N, spent: 0 };
  const sent = mutant === "givenUpIsUsed" ? node.sent : undefined;
  return withNode(state, index, { ...node, sent, ends: [told] });
}

function lose(state: State, model: Model): State {
  const learning =
    model.mutant === "lossIgnored"
      ? 0
      : model.kind === "bucket"
        ? TTL
        : model.mutant === "lossForgivenAfterSpan"
          ? Math.max(model.span, TTL)
          : model.span + TTL;
  const available = model.mutant === "lossIgnored" ? N * U : 0;
  return { ...state, cool: [], leases: [], available, learning };
}

function withNode(state: State, index: number, node: Node): State {
  return { ...state, nodes: state.nodes.with(index, node) };
}

function highestSeq(state: State, index: number): number {
  const node = state.nodes[index]!;
  return Math.max(0, ...seqsOf(state, index), ...node.held.map(({ seq }) => seq));
}

function seqsOf(state: State, index: number): number[] {
  const node = state.nodes[index]!;
  const of = (message: { node: number; seq: number } | undefined): number[] =>
    message?.node === index ? [message.seq] : [];
  return [
    ...state.leases.flatMap(of),
    ...node.held.map(({ seq }) => seq),
    ...node.ends.map(({ seq }) => seq),
    ...(node.sent === undefined ? [] : [node.sent.seq]),
    ...of(state.request),
    ...(state.request?.node === index ? state.request.ends.map(({ seq }) => seq) : []),
    ...of(state.reply),
  ];
}

/** A name that is the same for states that differ only in which node is which and how far the numbering has come. */
function encode(state: State): string {
  const one = encodeNode(state, 0);
  const other = encodeNode(state, 1);
  const nodes = one < other ? `${one}/${other}` : `${other}/${one}`;
  return `${state.cool.join("")}|${state.available}|${state.learning}|${state.ages.join("")}|${state.excess}|${nodes}`;
}

function encodeNode(state: State, index: number): string {
  const ranks = Array.from(new Set(seqsOf(state, index))).toSorted((x, y) => x - y);
  const rank = (seq: number): number => ranks.indexOf(seq);
  const { held, ends, sent } = state.nodes[index]!;
  const parts: string[] = [];
  for (const lease of state.leases)
    if (lease.node === index) parts.push(`l${rank(lease.seq)}${lease.units}${lease.expires}`);
  for (const lease of held)
    parts.push(`h${rank(lease.seq)}${lease.units}${lease.left}${lease.deadline}`);
  for (const told of ends) parts.push(`e${rank(told.seq)}${told.units}${told.spent}`);
  if (sent !== undefined) parts.push(`s${rank(sent.seq)}${sent.age}`);
  if (state.request?.node === index) {
    const { seq, want, ends: told } = state.request;
    parts.push(
      `q${rank(seq)}${want}${told.map((each) => `e${rank(each.seq)}${each.units}${each.spent}`).join("")}`,
    );
  }
  if (state.reply?.node === index) parts.push(`r${rank(state.reply.seq)}${state.reply.units}`);
  return parts.toSorted().join("");
}

function pathTo(
  name: string,
  seen: ReadonlyMap<string, { readonly from: string; readonly step: string } | undefined>,
): string[] {
  const path: string[] = [];
  let at: string | undefined = name;
  while (at !== undefined) {
    const came = seen.get(at);
    if (came !== undefined) path.unshift(came.step);
    at = came?.from;
  }
  return path;
}
