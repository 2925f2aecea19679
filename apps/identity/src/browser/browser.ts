import type { Random } from "@tidegate/clock";
import type { Database } from "@tidegate/service-kit";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { PeopleTables } from "../people/people-schema.ts";
import { Refused } from "../web/refused.ts";
import { loadBrowserKey } from "./browser-key.ts";
import { createFlash, type Flash } from "./flash.ts";
import { readField } from "./form-fields.ts";
import { createFormTokens, type FormTokens } from "./form-tokens.ts";

/** What pages need to know about the browser in front of them. */
export interface Browser {
  readonly forms: FormTokens;
  readonly flash: Flash;
  /**
   * For every form, before anything else is read from it.
   * @throws {Refused} 403 when it was not shown to this browser by us
   */
  checkForm(request: FastifyRequest): void;
}

/** A request with its answer. */
export interface BrowserExchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

export async function createBrowser(options: {
  readonly database: Database<PeopleTables>;
  readonly random: Random;
}): Promise<Browser> {
  const key = await loadBrowserKey(options.database, options.random);
  const forms = createFormTokens({ key, random: options.random });
  return {
    forms,
    flash: createFlash({ key }),
    checkForm(request) {
      if (forms.isGood(request, readField(request, "formToken"))) return;
      throw new Refused(
        403,
        "This form is too old, or your browser keeps no cookies. Go back, reload the page and try again.",
      );
    },
  };
}
