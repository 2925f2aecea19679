import type { Principal } from "@tidegate/auth";
import type { Peer } from "../judge/call.ts";
import { penaltyKeyOf, type PenaltyKey } from "./penalty-key.ts";
import type { PenaltyName, PenaltyStore } from "./penalty-store.ts";

/** A caller's key, and what the store calls it. */
export interface Named {
  readonly key: PenaltyKey;
  readonly name: PenaltyName;
}

/** Names every caller of a thread once: principals and peers are made once per credential and connection. */
export class CallerNames {
  readonly #store: PenaltyStore;
  /** An entry lives and dies with the principal or the connection. */
  readonly #names = new WeakMap<Principal | Peer, Named>();

  constructor(store: PenaltyStore) {
    this.#store = store;
  }

  /** Who proved nothing is their address. */
  of(principal: Principal, peer: Peer): Named {
    const who = principal.kind === "anonymous" ? peer : principal;
    let named = this.#names.get(who);
    if (named === undefined) {
      const key = penaltyKeyOf(principal, peer.network);
      named = { key, name: this.#store.name(key) };
      this.#names.set(who, named);
    }
    return named;
  }
}
