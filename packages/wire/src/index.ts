export { OPCODE, type Opcode } from "./opcode.ts";
export { VIOLATIONS, type Violation } from "./violation.ts";
export {
  FRAME_VERDICT,
  FrameWalker,
  MAX_SPANNING_BYTES,
  WALK,
  type FrameGuard,
  type FrameVerdict,
  type FrameWalkerOptions,
  type Walk,
} from "./frame-walker.ts";
export { isCloseCode } from "./close-code.ts";
export { toCloseReason } from "./close-reason.ts";
export { encodeClose, encodePing, MAX_CLOSE_REASON_BYTES } from "./control-frame.ts";
export {
  isWebSocketKey,
  parseSubprotocols,
  toAcceptValue,
  WEBSOCKET_VERSION,
} from "./handshake.ts";
export { formatExtensions, parseExtensions, type Extension } from "./extension.ts";
export { isDeflateAnswer, isDeflateOffer, PERMESSAGE_DEFLATE } from "./permessage-deflate.ts";
