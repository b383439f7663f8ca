import Fastify from "fastify";
import { announce, isProven, receive } from "./receive.js";

const app = Fastify();
app.post("/music-video-callback", async (request, reply) => {
  if (!isProven(request.query)) return reply.code(401).send();
  return receive(request.body);
});

await app.listen({ port: 0, host: "127.0.0.1" });
announce(app.server);
