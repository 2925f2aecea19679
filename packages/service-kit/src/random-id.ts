import type { Clock, Random } from "@tidegate/clock";

/** A random UUID (RFC 9562 §5.4), for names that must not be guessed or ordered. */
export function randomUuid(random: Random): string {
  return format(random.bytes(16), 0x40);
}

/** A UUID that sorts by the millisecond it was made in (RFC 9562 §5.7), for primary keys; 74 bits are random. */
export function timeUuid(clock: Clock, random: Random): string {
  const bytes = random.bytes(16);
  bytes.writeUIntBE(clock.wallMs(), 0, 6);
  return format(bytes, 0x70);
}

function format(bytes: Buffer, version: number): string {
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | version;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
