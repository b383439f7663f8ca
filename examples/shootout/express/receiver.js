// What the provider's documentation shows: parse, act in the request, answer 200.
'use strict';

const { open } = require('node:fs/promises');
const { setTimeout: sleep } = require('node:timers/promises');
const express = require('express');

const [address, journal, speed] = process.argv.slice(2);

const app = express();
app.use(express.json());

app.post('/music-video-callback', async (req, res) => {
  const { code, data } = req.body;
  await act(data.task_id, code);
  res.status(200).json({ status: 'received' });
});

// Stands for the download of the video. One in eight takes longer than the provider waits.
// The same is in `work.rs`.
async function act(task, code) {
  const isLarge = code === 200 && /[08]$/.test(task);
  await sleep((isLarge ? 20_000 : 1_000) / Number(speed));

  const file = await open(journal, 'a');
  try {
    await file.write(`${task} ${code}\n`);
    await file.datasync();
  } finally {
    await file.close();
  }
}

const [host, port] = address.split(':');
app.listen(Number(port), host);

// Ends with the process that started it, however that ended.
process.stdin.resume();
process.stdin.on('end', () => process.exit());
