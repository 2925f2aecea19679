import type { Revocation, RevocationEntry } from "@tidegate/auth";
import type { GatewayDatabase } from "../store/gateway-database.ts";

/** A revocation as it is kept and shown: when it was recorded, and who asked for it. */
export interface RecordedRevocation extends RevocationEntry {
  /** Wall milliseconds. */
  readonly recordedMs: number;
  /** Such as `admin`, `back-channel logout of people`. */
  readonly source: string;
}

/** Revocations on disk: a restart must not let in again who was shut out. Main thread only. */
export class RevocationLog {
  readonly #database: GatewayDatabase;

  constructor(database: GatewayDatabase) {
    this.#database = database;
    database.prepareTables("revocations", STEPS);
  }

  /** All of them or none. Durable when it returns. @throws the disk's refusal */
  record(revocations: readonly RecordedRevocation[]): void {
    const put = this.#database.prepare(
      "insert into revocation (kind, issuer, name, at_seconds, until_ms, recorded_ms, source) values (?, ?, ?, ?, ?, ?, ?)",
    );
    this.#database.transaction(() => {
      for (const { revocation, untilMs, recordedMs, source } of revocations)
        put.run(
          revocation.kind,
          revocation.issuer,
          nameOf(revocation),
          "atSeconds" in revocation ? revocation.atSeconds : 0,
          untilMs,
          recordedMs,
          source,
        );
    });
  }

  /** What still counts, oldest first. @param limit of the newest ones */
  list(nowMs: number, limit = Number.MAX_SAFE_INTEGER): readonly RecordedRevocation[] {
    return this.#database
      .prepare("select * from revocation where until_ms > ? order by id desc limit ?")
      .all(nowMs, limit)
      .map((row) => ({
        revocation: toRevocation(row as unknown as Row),
        untilMs: Number(row["until_ms"]),
        recordedMs: Number(row["recorded_ms"]),
        source: String(row["source"]),
      }))
      .toReversed();
  }

  /** Forgets what no credential can meet any more. */
  sweep(nowMs: number): void {
    this.#database.prepare("delete from revocation where until_ms <= ?").run(nowMs);
  }
}

/** What the revocation names beside its issuer. */
export function nameOf(revocation: Revocation): string {
  switch (revocation.kind) {
    case "token":
      return revocation.tokenId;
    case "session":
      return revocation.sessionId;
    case "subject":
    case "issued-before":
      return revocation.subject;
  }
}

interface Row {
  readonly kind: Revocation["kind"];
  readonly issuer: string;
  readonly name: string;
  readonly at_seconds: number;
}

function toRevocation({ kind, issuer, name, at_seconds: atSeconds }: Row): Revocation {
  switch (kind) {
    case "token":
      return { kind, issuer, tokenId: name };
    case "session":
      return { kind, issuer, sessionId: name };
    case "subject":
    case "issued-before":
      return { kind, issuer, subject: name, atSeconds };
  }
}

const STEPS = [
  `create table revocation (
     id integer primary key,
     kind text not null check (kind in ('token', 'session', 'subject', 'issued-before')),
     issuer text not null,
     name text not null,
     at_seconds integer not null,
     until_ms integer not null,
     recorded_ms integer not null,
     source text not null
   ) strict;
   create index revocation_until on revocation (until_ms);`,
];
