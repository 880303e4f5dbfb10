// Runs an OpenID provider for a test, with its own pages to sign in and to agree.
//
// It listens on a free port of this machine and prints its issuer. A line of JSON on
// stdin then says whom it is for: {"url": where MGX is, "people": a file}. The file has
// the claims of people by the name with which they sign in, and is read each time.
// It ends when stdin does.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

let handle;
const server = createServer((request, response) => handle(request, response));
server.listen(0, "127.0.0.1", () => console.log(issuer()));

function issuer() {
  return `http://127.0.0.1:${server.address().port}`;
}

const lines = createInterface({ input: process.stdin });
lines.once("line", (line) => {
  const { url, people } = JSON.parse(line);
  const provider = new Provider(issuer(), {
    clients: [
      {
        client_id: "mgx",
        client_secret: "a secret of the client",
        redirect_uris: [`${url}/signin/with/corp/back`],
        post_logout_redirect_uris: [`${url}/signin`],
        backchannel_logout_uri: `${url}/signin/with/corp/signed-out`,
        backchannel_logout_session_required: true,
      },
    ],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"], groups: ["groups"] },
    // It would call nobody on this machine, nor wait for a slow one.
    fetch: (url, { dispatcher, signal, ...options }) => fetch(url, options),
    pkce: { required: () => true },
    cookies: { keys: ["of this test"] },
    features: { backchannelLogout: { enabled: true }, devInteractions: { enabled: true } },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, ...JSON.parse(readFileSync(people, "utf8"))[id] }),
    }),
  });
  provider.on("backchannel.error", (_, error) => console.error("signing out", error));
  provider.on("server_error", (_, error) => console.error(error));
  handle = provider.callback();
  console.log("ready");
});
lines.once("close", () => process.exit());
