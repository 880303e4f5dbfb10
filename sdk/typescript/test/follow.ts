// Prints the position of each event of a real server as a line of JSON. Every 100
// events it starts over with nothing but the token it kept. Run by sdk_test.go.
import { EventClient } from "../src/index.js";

const { MGX_URL = "", MGX_TOKEN = "", MGX_TRANSPORT, MGX_UNTIL } = process.env;
const options = { url: MGX_URL, token: MGX_TOKEN, transport: MGX_TRANSPORT as "sse" | "websocket", backoff: { first: 5, last: 50 } };

let resume: string | undefined;
for (let last = 0; last < Number(MGX_UNTIL); ) {
  const client = new EventClient(options);
  const stop = last + 100;
  const subscription = client.subscribe({ types: ["run.*"], ...(resume === undefined ? { after: 0 } : { resume }) });
  for await (const event of subscription) {
    if (event.position > stop) break; // in hand, so not dealt with
    last = event.position;
    console.log(JSON.stringify({ position: last }));
    if (last === Number(MGX_UNTIL)) break;
  }
  resume = subscription.resume;
  client.close();
}
