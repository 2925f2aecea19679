import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { NO_HANDLE } from "../limiter.ts";
import { LeaseAccount } from "./lease-account.ts";
import { TAGS } from "./script-call.ts";
import type { SharedPlan } from "./shared-plan.ts";

/** Handles of shared limits begin here; local ones end far below. */
export const FIRST_SHARED_HANDLE = 2 ** 29;

/**
 * Callers told apart per node: some 60 MB when all are in use. When all are, idle ones are let go; when none
 * is idle, a new caller gets no handle and is refused.
 */
export const DEFAULT_MAX_ACCOUNTS = 65_536;

/** An account that nobody has used for this long is forgotten; the store still knows all that matters. */
const IDLE_MS = 2_000;
/** Accounts looked at for one that is idle when there is no room. */
const EXAMINED_WHEN_FULL = 64;

/** Which handle is which caller. */
export class AccountTable {
  readonly #prefix: string;
  readonly #maxAccounts: number;
  readonly #forget: (account: LeaseAccount) => void;
  /** By limit and caller; at most `maxAccounts`. */
  readonly #slots = new Map<string, number>();
  readonly #accounts: (LeaseAccount | undefined)[] = [];
  readonly #names: string[] = [];
  readonly #freeSlots: number[] = [];
  #cursor = 0;

  /** @param options.forget called for each account that is let go */
  constructor(options: {
    readonly prefix: string;
    readonly maxAccounts: number;
    readonly forget: (account: LeaseAccount) => void;
  }) {
    this.#prefix = options.prefix;
    this.#maxAccounts = options.maxAccounts;
    this.#forget = options.forget;
  }

  get size(): number {
    return this.#slots.size;
  }

  take(plan: SharedPlan, key: string | Uint8Array, nowMs: number): number {
    const caller = typeof key === "string" ? key : Buffer.from(key).toString("latin1");
    const name = `${plan.tag}${caller}`;
    let slot = this.#slots.get(name);
    if (slot === undefined) {
      if (this.#slots.size >= this.#maxAccounts) this.sweep(nowMs, EXAMINED_WHEN_FULL);
      if (this.#slots.size >= this.#maxAccounts) return NO_HANDLE;
      slot = this.#freeSlots.pop() ?? this.#accounts.length;
      this.#slots.set(name, slot);
      this.#names[slot] = name;
      this.#accounts[slot] = this.#open(plan, key, caller);
    }
    const account = this.#accounts[slot]!;
    account.users++;
    account.lastUsedMs = nowMs;
    return FIRST_SHARED_HANDLE + slot;
  }

  at(handle: number): LeaseAccount {
    const account = this.#accounts[handle - FIRST_SHARED_HANDLE];
    assert(account !== undefined, "the handle was released");
    return account;
  }

  release(handle: number, nowMs: number): void {
    const account = this.at(handle);
    assert(account.users > 0, "the handle was released");
    account.users--;
    account.lastUsedMs = nowMs;
  }

  /** Lets go of idle accounts among the next `count`. @returns how many */
  sweep(nowMs: number, count: number): number {
    let swept = 0;
    for (let i = Math.min(count, this.#accounts.length); i > 0; i--) {
      this.#cursor = this.#cursor + 1 < this.#accounts.length ? this.#cursor + 1 : 0;
      const account = this.#accounts[this.#cursor];
      if (account === undefined || account.users > 0 || account.isBusy(nowMs)) continue;
      if (nowMs - account.lastUsedMs < IDLE_MS && this.#slots.size < this.#maxAccounts) continue;
      this.#slots.delete(this.#names[this.#cursor]!);
      this.#accounts[this.#cursor] = undefined;
      this.#freeSlots.push(this.#cursor);
      this.#forget(account);
      swept++;
    }
    return swept;
  }

  *all(): Generator<LeaseAccount> {
    for (const account of this.#accounts) if (account !== undefined) yield account;
  }

  /**
   * The caller's text never reaches the store, only its hash: 128 bits, so that nobody finds two with one budget. The
   * first byte is the tag: all limits of one caller can be asked in one script.
   */
  #open(plan: SharedPlan, key: string | Uint8Array, caller: string): LeaseAccount {
    const hash = createHash("sha256").update(key).digest();
    const tag = hash[0]! % TAGS;
    const name = hash.subarray(0, 16).toString("base64url");
    return new LeaseAccount(plan, {
      tag,
      key: `${this.#prefix}:{${tag}}:${name}:${plan.tag}`,
      caller,
    });
  }
}
