// Kafka Streams: a tumbling window of one second in an in-memory store with a cache and a changelog, emitted on close.
// Run: java -cp ... KafkaStreams BROKER INPUT SINK EVENTS

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.TimestampExtractor;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

public class KafkaStreams {
  static final JsonFactory JSON = new JsonFactory();
  static final LongAdder READ = new LongAdder();
  static final Duration SECOND = Duration.ofSeconds(1);

  static final class Trade {
    String symbol;
    double price, quantity;
    boolean buy;
    long timeMs;
  }

  static final class Bar {
    double open, high, low, close, volume, notional, bought;
    long count;

    Bar add(Trade trade) {
      double price = trade.price, quantity = trade.quantity;
      if (count == 0) open = high = low = price;
      if (price > high) high = price;
      if (price < low) low = price;
      close = price;
      volume += quantity;
      notional += price * quantity;
      if (trade.buy) bought += quantity;
      count++;
      return this;
    }
  }

  static Trade decode(String topic, byte[] data) {
    try (JsonParser json = JSON.createParser(data)) {
      Trade trade = new Trade();
      json.nextToken();
      while (json.nextToken() != JsonToken.END_OBJECT) {
        String field = json.currentName();
        json.nextToken();
        switch (field) {
          case "symbol": trade.symbol = json.getText(); break;
          case "price": trade.price = json.getDoubleValue(); break;
          case "quantity": trade.quantity = json.getDoubleValue(); break;
          case "side": trade.buy = json.getText().equals("buy"); break;
          case "time_ms": trade.timeMs = json.getLongValue(); break;
          default: json.skipChildren();
        }
      }
      return trade;
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  static byte[] pack(String topic, Bar bar) {
    if (bar == null) return null;
    ByteBuffer to = ByteBuffer.allocate(64).putDouble(bar.open).putDouble(bar.high).putDouble(bar.low);
    to.putDouble(bar.close).putDouble(bar.volume).putDouble(bar.notional).putDouble(bar.bought).putLong(bar.count);
    return to.array();
  }

  static Bar unpack(String topic, byte[] data) {
    if (data == null) return null;
    ByteBuffer from = ByteBuffer.wrap(data);
    Bar bar = new Bar();
    bar.open = from.getDouble();
    bar.high = from.getDouble();
    bar.low = from.getDouble();
    bar.close = from.getDouble();
    bar.volume = from.getDouble();
    bar.notional = from.getDouble();
    bar.bought = from.getDouble();
    bar.count = from.getLong();
    return bar;
  }

  static String row(String symbol, long startMs, Bar bar) {
    StringWriter text = new StringWriter(256);
    try (JsonGenerator json = JSON.createGenerator(text)) {
      json.writeStartObject();
      json.writeStringField("symbol", symbol);
      json.writeNumberField("start_ms", startMs);
      json.writeNumberField("open", bar.open);
      json.writeNumberField("high", bar.high);
      json.writeNumberField("low", bar.low);
      json.writeNumberField("close", bar.close);
      json.writeNumberField("volume", bar.volume);
      json.writeNumberField("vwap", bar.notional / bar.volume);
      json.writeNumberField("buy_volume", bar.bought);
      json.writeNumberField("count", bar.count);
      json.writeEndObject();
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
    return text.toString();
  }

  static void mark(String what) {
    System.out.println("@" + what + " " + System.currentTimeMillis() / 1000.0);
  }

  public static class EventTime implements TimestampExtractor {
    private static boolean begun;

    @Override
    public long extract(ConsumerRecord<Object, Object> record, long partitionTime) {
      if (!begun) {
        begun = true;
        mark("begin");
      }
      READ.increment();
      return ((Trade) record.value()).timeMs;
    }
  }

  static Properties settings(String broker) throws IOException {
    String id = "kafka-streams-" + System.currentTimeMillis();
    Properties set = new Properties();
    set.put("application.id", id);
    set.put("bootstrap.servers", broker);
    set.put("state.dir", Files.createTempDirectory(id).toString());
    set.put("auto.offset.reset", "earliest");
    set.put("num.stream.threads", 1);
    set.put("commit.interval.ms", 5000);
    set.put("statestore.cache.max.bytes", 64 << 20);
    set.put("max.poll.records", 5000);
    set.put("fetch.max.bytes", 50 << 20);
    set.put("max.partition.fetch.bytes", 8 << 20);
    set.put("buffered.records.per.partition", 10_000);
    set.put("linger.ms", 50);
    set.put("batch.size", 1 << 18);
    // Closed windows are emitted at once a second by the clock, unless this is less: at full speed it would hold many back.
    set.put("__emit.interval.ms.kstreams.windowed.aggregation__", 10);
    return set;
  }

  public static void main(String[] arguments) throws Exception {
    String broker = arguments[0], input = arguments[1], sink = arguments[2];
    long events = Long.parseLong(arguments[3]);
    Serde<Trade> trades = Serdes.serdeFrom((topic, trade) -> null, KafkaStreams::decode);
    Serde<Bar> bars = Serdes.serdeFrom(KafkaStreams::pack, KafkaStreams::unpack);
    var store = Stores.inMemoryWindowStore("bars", Duration.ofSeconds(120), SECOND, false);
    var kept = Materialized.<String, Bar>as(store).withKeySerde(Serdes.String()).withValueSerde(bars);
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream(input, Consumed.with(Serdes.String(), trades).withTimestampExtractor(new EventTime()))
        .groupByKey(Grouped.with(Serdes.String(), trades))
        .windowedBy(TimeWindows.ofSizeWithNoGrace(SECOND))
        .emitStrategy(EmitStrategy.onWindowClose())
        .aggregate(Bar::new, (symbol, trade, bar) -> bar.add(trade), kept.withCachingEnabled())
        .toStream()
        .map((window, bar) -> org.apache.kafka.streams.KeyValue.pair(
            window.key(), row(window.key(), window.window().start(), bar)))
        .to(sink, Produced.with(Serdes.String(), Serdes.String()));
    var streams = new org.apache.kafka.streams.KafkaStreams(builder.build(), settings(broker));
    streams.start();
    while (READ.sum() < events) Thread.sleep(10);
    Thread.sleep(30);
    // It finishes the records that it has read, flushes and commits.
    streams.close(Duration.ofSeconds(60));
    mark("end");
    System.in.read();
    streams.cleanUp();
    System.exit(0);
  }
}
