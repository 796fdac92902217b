// The pipeline at one moment, in the form that the picture needs.
export const SHARDS = "slices";

export function stateOf(data) {
  const places = data.topics.flatMap((topic) => topic.partitions.map((one) => ({
    key: `${topic.name}-${one.partition}`, topic: topic.name, partition: one.partition, owner: one.owner,
    lag: one.lag, rate: one.records_per_second, watermarkMs: one.watermark_ms, upto: one.upto, tallies: one.tallies ?? {},
  })));
  const inputs = places.filter((one) => one.topic !== SHARDS), shards = places.filter((one) => one.topic === SHARDS);
  const workers = data.workers.map(({ name, numbers }) => {
    const own = inputs.filter((place) => place.owner === name);
    return {
      name, up: numbers.up !== 0, memory: numbers.memory_bytes ?? null, restarts: numbers.restarts ?? null,
      inputs: own, shards: shards.filter((place) => place.owner === name), rate: add(own.map((place) => place.rate)),
    };
  });
  return { atMs: data.now_ms, stable: data.stable, inputs, shards, workers, recent: data.recent, sums: sums(inputs, workers, data.now_ms) };
}

const add = (values) => {
  const known = values.filter((value) => value !== null && value !== undefined);
  return known.length ? known.reduce((a, b) => a + b, 0) : null;
};

function sums(inputs, workers, atMs) {
  // A topic that nobody feeds has no watermark, or an old one: the age is that of partitions that records come to.
  const fed = inputs.filter((one) => one.rate > 0 && one.watermarkMs);
  const tallies = {};
  for (const { tallies: found } of inputs) for (const [name, value] of Object.entries(found)) tallies[name] = (tallies[name] ?? 0) + value;
  return {
    rate: add(inputs.map((one) => one.rate)),
    lag: add(inputs.map((one) => one.lag)),
    ageSeconds: fed.length ? Math.max(0, atMs - Math.min(...fed.map((one) => one.watermarkMs))) / 1000 : null,
    memory: add(workers.map((one) => one.memory)),
    restarts: add(workers.map((one) => one.restarts)),
    tallies,
  };
}
