// What both do: the token, the id, and the answer. The process ends with whoever started it.
const secret = process.env.CALLBACK_SECRET;
const seen = new Set();

export const isProven = (query) => query.token === secret;

export const receive = (callback) => {
  seen.add(callback.data.task_id);
  return { status: "received" };
};

export const announce = (server) => {
  console.log(server.address().port);
  process.stdin.on("end", () => process.exit(0)).resume();
};
