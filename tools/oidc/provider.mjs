// Runs OpenID providers for tests, each with its own pages to sign in and to agree.
//
// It listens on a free port of this machine and prints its address. Each line of JSON
// on stdin begins a provider, or one anew in the place of another:
//   {"issuer": how browsers and MGX reach it, with a port of their own that leads here,
//    "people": a file, "keys": a name, "with": configuration of oidc-provider}
// and it prints "ready" and the issuer. The file has the claims of people by the name
// with which they sign in, and is read each time; providers of one name for their keys
// sign with the same ones. One that takes the place of another knows nothing of what that
// granted. It all ends when stdin does.
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

const providers = new Map(); // by the host that a request names
const nobody = (_, response) => response.writeHead(421).end();
const server = createServer((request, response) => (providers.get(request.headers.host) ?? nobody)(request, response));
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));

const made = new Map();
function keys(name) {
  if (!made.has(name)) {
    const pairs = [generateKeyPairSync("rsa", { modulusLength: 2048 }), generateKeyPairSync("ec", { namedCurve: "P-256" }), generateKeyPairSync("ed25519")];
    made.set(name, { keys: pairs.map((pair) => pair.privateKey.export({ format: "jwk" })) });
  }
  return structuredClone(made.get(name));
}

function begin({ issuer, people, keys: name, with: more }) {
  const provider = new Provider(issuer, {
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"], groups: ["groups"] },
    // It would call nobody on this machine, nor wait for a slow one.
    fetch: (url, { dispatcher, signal, ...options }) => fetch(url, options),
    jwks: keys(name),
    pkce: { required: () => true },
    cookies: { keys: [issuer] },
    features: { backchannelLogout: { enabled: true }, devInteractions: { enabled: true } },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, ...JSON.parse(readFileSync(people, "utf8"))[id] }),
    }),
    ...more,
  });
  provider.on("backchannel.error", (_, error) => console.error("signing out", error));
  provider.on("server_error", (_, error) => console.error(error));
  providers.set(new URL(issuer).host, provider.callback());
}

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const asked = JSON.parse(line);
  begin(asked);
  console.log(`ready ${asked.issuer}`);
});
lines.once("close", () => process.exit());
