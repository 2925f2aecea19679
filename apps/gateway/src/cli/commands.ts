/** One command, as parsing and `--help` and `docs/cli.md` all see it. */
export interface CommandKind {
  /** What follows the command's name. Brackets mean optional. */
  readonly positionals: readonly string[];
  readonly options: Readonly<Record<string, OptionKind>>;
  readonly summary: string;
  /** Paragraphs of `--help`, each one line that is wrapped when it is shown. */
  readonly text: readonly string[];
  readonly examples: readonly (readonly [call: string, meaning: string])[];
}

export interface OptionKind {
  readonly summary: string;
  /** What follows the option, for those that take something. */
  readonly value?: string;
}

const json = { json: { summary: "Print JSON for scripts instead of text for people." } };

const whichFile =
  "Without a file, the only tidegate.config.ts, .mts, .js, .mjs, .json, .yaml or .yml of the working folder is taken. The file may lie anywhere: paths in it are relative to its own folder, and a module imports `tidegate` from the running gateway, with nothing installed beside it.";

export const COMMANDS = {
  init: {
    positionals: ["[folder]"],
    options: json,
    summary: "Write a configuration to start from.",
    text: [
      "Writes a commented tidegate.config.ts that works as it is: one service behind the gateway, open to everybody, with a limit per address. Nothing that exists is overwritten.",
    ],
    examples: [
      ["tidegate init", "into the working folder"],
      ["tidegate init /srv/shop", "into another one, which is made if need be"],
    ],
  },
  check: {
    positionals: ["[file]"],
    options: json,
    summary: "Validate a configuration and show its routes.",
    text: [
      "Reads the whole configuration and says everything that is wrong with it at once: where, what stands there, why it cannot be used and what is allowed. What is usable but probably not meant is a warning. Starts nothing and needs no network.",
      whichFile,
    ],
    examples: [
      ["tidegate check", "the configuration of the working folder"],
      ["tidegate check staging.yaml --json", "in a pipeline"],
    ],
  },
  start: {
    positionals: ["[file]"],
    options: json,
    summary: "Run the gateway.",
    text: [
      "Runs in the foreground until it is told to stop, and writes structured log lines to standard output. The line `tidegate.listening` has the addresses and says that calls are answered.",
      "SIGTERM or SIGINT (Ctrl-C) stops in stages: no new calls, sockets are told, running requests may finish for `shutdown.drainTimeoutMs`. A second signal ends at once. SIGHUP is ignored: reload is not offered yet.",
      'Called by a process that opened an IPC channel, it sends {type: "ready", url, adminUrl} once it listens, and stops when the channel closes.',
      whichFile,
    ],
    examples: [
      ["tidegate start", "the configuration of the working folder"],
      ["tidegate start /srv/shop/tidegate.config.ts", "from anywhere"],
      ["PORT=0 tidegate start dev.yaml", "with `port: ${PORT}` in it: takes a free port"],
    ],
  },
  users: {
    positionals: ["add|remove|list", "<file>", "[name]"],
    options: {
      generate: {
        summary: "With add: make a random password and print it, instead of reading one.",
      },
      scopes: {
        value: "<names>",
        summary:
          'With add: what the person may do, such as "tasks:read tasks:write". Default: none, or what a known name has.',
      },
      ...json,
    },
    summary: "Keep the people of a users file.",
    text: [
      "A users file holds names and salted scrypt hashes for HTTP Basic; routes use it through an issuer of kind `users-file`. Passwords are never arguments, where every process of the machine could read them: `add` reads the first line of standard input.",
      "`add` makes the file if need be, readable by its owner alone, and replaces the password of a name that is there.",
    ],
    examples: [
      ["tidegate users add users.json ada --generate", "prints her new password"],
      ["tidegate users add users.json ada < password.txt", "takes it from a file"],
      ["tidegate users list users.json", "names alone"],
      ["tidegate users remove users.json ada", "her remembered credential ends within a minute"],
    ],
  },
  keys: {
    positionals: ["add|list|rotate|disable|enable|remove", "<file>", "[name]"],
    options: {
      scopes: {
        value: "<names>",
        summary: 'With add: what the key may do, such as "tasks:read tasks:write". Default: none.',
      },
      expires: {
        value: "<time>",
        summary: "With add: how long it counts, such as 90d, 24h or 30m. Default: for ever.",
      },
      overlap: {
        value: "<time>",
        summary: "With rotate: how long the old key counts beside the new one. Default: 24h.",
      },
      ...json,
    },
    summary: "Keep the API keys of a keys file.",
    text: [
      "A keys file holds hashes of API keys for programs; routes use it through an issuer of kind `api-keys`. `add` makes the file if need be, readable by its owner alone, and prints the key, which nobody can read again: `tgk_`, letters and digits. Programs send it as `Authorization: Bearer tgk_…`, or in the field that the configuration names.",
      "`rotate` prints a new key under the same name and id, and lets the old one end after `--overlap`; `0m` ends it at once. `list` shows what is there and when each was last used, which gateways write down within a minute. Running gateways take every change within two seconds.",
    ],
    examples: [
      ['tidegate keys add keys.json billing --scopes "tasks:read" --expires 90d', "prints the key"],
      ["tidegate keys list keys.json", "names, states, last use; never a key"],
      ["tidegate keys rotate keys.json billing --overlap 2h", "the old one counts for two hours"],
      ["tidegate keys disable keys.json billing", "until `enable`"],
      ["tidegate keys remove keys.json billing", "its id never comes back"],
    ],
  },
  limits: {
    positionals: ["[list|suggest]", "[file]"],
    options: {
      admin: {
        value: "<url>",
        summary: "Where the admin listener is. Default: as the configuration says.",
      },
      "token-file": {
        value: "<file>",
        summary: "The file of its token. Default: admin-token in the data folder.",
      },
      ...json,
    },
    summary: "Show what the limits of a running gateway hold, or propose numbers.",
    text: [
      "`list` shows every limit with the callers it knows and the calls it refused. `suggest` proposes numbers for limits in shadow mode (`shadow: true`: decide, count, never refuse), from what callers asked for while it ran.",
      "Both ask the gateway that runs with this configuration, through its admin listener.",
    ],
    examples: [
      ["tidegate limits", "the gateway of the working folder's configuration"],
      ["tidegate limits suggest shop.yaml", "numbers to put in place of `shadow: true`"],
    ],
  },
  penalties: {
    positionals: ["[list|lift]", "[file]"],
    options: {
      caller: {
        value: "<caller>",
        summary: "With lift: whom to forgive, as list shows it.",
      },
      admin: {
        value: "<url>",
        summary: "Where the admin listener is. Default: as the configuration says.",
      },
      "token-file": {
        value: "<file>",
        summary: "The file of its token. Default: admin-token in the data folder.",
      },
      ...json,
    },
    summary: "Show who sits in the penalty box of a running gateway, or let them out.",
    text: [
      "`list` shows every caller with strikes: why, since when, until when; those boxed last first. `lift` forgives one of them everything at once, on every worker. It is the only way out for API keys and clients that are suspended.",
      "Both ask the gateway that runs with this configuration, through its admin listener.",
    ],
    examples: [
      ["tidegate penalties", "who is boxed, and who was lately"],
      [`tidegate penalties lift --caller '["address","192.0.2.7"]'`, "lets one of them out"],
    ],
  },
  revoke: {
    positionals: ["[file]"],
    options: {
      issuer: {
        value: "<issuer>",
        summary: "Who issued it: a name under `identity`, or an issuer URL of the configuration.",
      },
      subject: {
        value: "<sub>",
        summary: "Everything of a person who signed in until now, refreshed tokens included.",
      },
      session: { value: "<sid>", summary: "One session at the provider." },
      token: { value: "<jti>", summary: "One access token." },
      leaked: {
        summary:
          "With --subject: only the access tokens issued until now; the person stays signed in.",
      },
      admin: {
        value: "<url>",
        summary: "Where the admin listener is. Default: as the configuration says.",
      },
      "token-file": {
        value: "<file>",
        summary: "The file of its token. Default: admin-token in the data folder.",
      },
      ...json,
    },
    summary: "End tokens, sessions or everything of a person, at once and on every worker.",
    text: [
      "Whoever is revoked is refused from then on, and what is open ends: sockets close with 4410, answers that still run are cut. It returns when every worker knows, and holds over restarts.",
      "A person is an issuer and a subject: the same subject at another issuer is somebody else. Asks the gateway that runs with this configuration, through its admin listener.",
    ],
    examples: [
      ["tidegate revoke --issuer people --subject 5f1c…", "signs a person out everywhere"],
      ["tidegate revoke --issuer people --session S1", "ends one session"],
      [
        "tidegate revoke --issuer people --subject 5f1c… --leaked",
        "their access tokens alone: applications fetch new ones",
      ],
    ],
  },
  token: {
    positionals: ["[user]"],
    options: {
      config: {
        value: "<file>",
        summary: "The configuration. Default: the only one of the working folder.",
      },
      provider: {
        value: "<name>",
        summary: "Where to sign in: a name under `identity`. Default: the only OpenID provider.",
      },
      client: {
        value: "<id>",
        summary: "A public native client of the provider. Default: `commandLineClient`.",
      },
      scope: {
        value: "<names>",
        summary: "What to ask for. Default: every scope that a route of the provider wants.",
      },
      resource: {
        value: "<uri>",
        summary: "Whose access token to ask for (RFC 8707). Default: as in the browser.",
      },
      open: { summary: "Open the address in a browser, by xdg-open." },
      ...json,
    },
    summary: "Sign in, and print an access token.",
    text: [
      "Signs in at an OpenID provider of the configuration, as a public native client with PKCE (RFC 8252), and prints the access token alone on standard output. The address to open in a browser of this machine goes to standard error; `user` is a hint for the page. The answer comes back to a free port of 127.0.0.1, which is open for that one answer, five minutes at most. Register `http://127.0.0.1/callback` for the client at the provider.",
      "In the folder of a demo that `npm start` made (or with TIDEGATE_DATA) no configuration is needed: the demo's people are signed in by themselves, with the password that the banner shows, over the provider's own pages.",
      "`--json` prints what the provider answered, but for a refresh token, which is not kept either.",
    ],
    examples: [
      ["tidegate token ada", "in the demo: her token"],
      ["tidegate token ada@example.org --provider people --open", "by the browser"],
      ['tidegate token ada --scope "tasks:read"', "a token that can only read"],
    ],
  },
  version: {
    positionals: [],
    options: json,
    summary: "Print the versions of the gateway and of its runtime.",
    text: [],
    examples: [["tidegate version", ""]],
  },
} as const satisfies Record<string, CommandKind>;

export type CommandName = keyof typeof COMMANDS;
export const isCommandName = (word: string): word is CommandName => Object.hasOwn(COMMANDS, word);
export const COMMAND_NAMES: readonly CommandName[] = Object.keys(COMMANDS).filter(isCommandName);
