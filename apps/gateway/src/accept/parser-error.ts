import { REASON, type ReasonCode } from "../judge/reason.ts";

/** What an error of the platform's HTTP parser is on the wire. */
export function explainParserError(error: NodeJS.ErrnoException & { rawPacket?: Buffer }): {
  reason: ReasonCode;
  detail: string;
} {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return { reason: REASON.fields_too_large, detail: "The fields are larger than allowed" };
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return { reason: REASON.request_late, detail: "The request's head took too long" };
    case "HPE_INVALID_METHOD": {
      // A well-formed request line with a method the parser has not heard of, or plain garbage.
      const line = error.rawPacket?.subarray(0, 256).toString("latin1") ?? "";
      return /^[A-Z][A-Z-]{1,31} \/\S* HTTP\/1\.[01]\r\n/.test(line)
        ? { reason: REASON.method_unknown, detail: "This method is not known" }
        : { reason: REASON.malformed_request, detail: "The bytes are not HTTP/1.1" };
    }
    default:
      return { reason: REASON.malformed_request, detail: "The bytes are not HTTP/1.1" };
  }
}
