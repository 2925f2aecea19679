/** What the platform reads from a connection at once, at most. */
const READ_BYTES = 65_536;

/**
 * One read buffer for all client connections and all relayed ones of this thread: a read and its callback are one
 * synchronous step, and no view of the buffer leaves that step. The platform would otherwise allocate 64 KiB for every
 * read, however little came: a fifth of what it costs to relay a message, most of it spent by the garbage collector,
 * which is driven to full collections by it.
 */
export const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

/** Takes `[0, byteCount)` of `bytes`, which are valid until it returns: copy what is kept. */
export type TakeBytes = (bytes: Buffer, byteCount: number) => void;
