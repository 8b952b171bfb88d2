package synapse;

import com.fasterxml.jackson.core.json.PackageVersion;
import com.fasterxml.jackson.core.util.JsonRecyclerPools;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import org.springframework.boot.Banner;
import org.springframework.boot.SpringBootVersion;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.jackson.JacksonAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.messaging.converter.MappingJackson2MessageConverter;
import org.springframework.messaging.converter.MessageConversionException;

/**
 * The other entry point, without server, database or Redis: what the subscriber would broadcast for each message on
 * standard input. Its argument is the moment for {@code createdAt} and for a message that has none.
 *
 * <p>A message is two blocks, channel and body; a block is a length of four bytes, high byte first, and so many bytes.
 * Each message is answered by a letter and a block: M and the JSON, or the class of the exception with which reading
 * (R) or writing (W) failed. Before them comes one answer V, with the versions that give the others.
 */
public class MappingCommand {

    private final NotificationMapper mapper;
    private final MappingJackson2MessageConverter converter;
    private final Instant now;

    MappingCommand(ObjectMapper json, Instant now) {
        this.mapper = new NotificationMapper(json);
        this.converter = new MappingJackson2MessageConverter(json);
        this.now = now;
    }

    public static void main(String[] arguments) throws IOException {
        PrintStream answers = System.out;
        System.setOut(System.err);
        ObjectMapper json = objectMapperOfBoot();
        // The container's executor gives every message a new thread, and Jackson keeps its buffers by thread.
        json.getFactory().setRecyclerPool(JsonRecyclerPools.nonRecyclingPool());
        MappingCommand command = new MappingCommand(json, Instant.parse(arguments[0]));
        try (DataInputStream in = new DataInputStream(new BufferedInputStream(System.in, 1 << 16));
                DataOutputStream out = new DataOutputStream(new BufferedOutputStream(answers, 1 << 16))) {
            command.run(in, out);
        }
    }

    private static ObjectMapper objectMapperOfBoot() {
        return new SpringApplicationBuilder(JacksonAutoConfiguration.class)
                .web(WebApplicationType.NONE)
                .bannerMode(Banner.Mode.OFF)
                .logStartupInfo(false)
                .run()
                .getBean(ObjectMapper.class);
    }

    private void run(DataInputStream in, DataOutputStream out) throws IOException {
        write(out, 'V', versions().getBytes(StandardCharsets.UTF_8));
        while (true) {
            if (in.available() == 0) {
                // Whoever waits for the answers before sending more must not wait for ever.
                out.flush();
            }
            int first = in.read();
            if (first < 0) {
                return;
            }
            byte[] channel = in.readNBytes(first << 24 | in.readUnsignedByte() << 16 | in.readUnsignedShort());
            byte[] body = in.readNBytes(in.readInt());
            answer(out, new String(channel, StandardCharsets.UTF_8), body);
        }
    }

    private void answer(DataOutputStream out, String channel, byte[] body) throws IOException {
        NotificationDto dto;
        try {
            dto = mapper.map(channel, body, now);
        } catch (Exception e) {
            write(out, 'R', nameOf(e));
            return;
        }
        byte[] json;
        try {
            json = (byte[]) converter.toMessage(dto.stored(1, now), null).getPayload();
        } catch (MessageConversionException e) {
            write(out, 'W', nameOf(e.getCause()));
            return;
        }
        write(out, 'M', json);
    }

    private static String versions() {
        return "java %s, jackson %s, spring-boot %s"
                .formatted(System.getProperty("java.version"), PackageVersion.VERSION, SpringBootVersion.getVersion());
    }

    private static byte[] nameOf(Throwable e) {
        return e.getClass().getSimpleName().getBytes(StandardCharsets.UTF_8);
    }

    private static void write(DataOutputStream out, char kind, byte[] block) throws IOException {
        out.writeByte(kind);
        out.writeInt(block.length);
        out.write(block);
    }
}
