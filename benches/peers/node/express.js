// The provider's own sample is an Express app.
import express from "express";
import { announce, isProven, receive } from "./receive.js";

const app = express();
app.post("/music-video-callback", express.json(), (request, response) => {
  if (!isProven(request.query)) return response.status(401).end();
  response.json(receive(request.body));
});

const server = app.listen(0, "127.0.0.1", () => announce(server));
