package synapse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.context.event.EventListener;
import org.springframework.stereotype.Component;

/**
 * With {@code --server.port=0 --port-file=FILE} the port that was chosen is written there, whole or not at all, once
 * the application serves and has subscribed.
 */
@Component
@ConditionalOnProperty("port-file")
public class PortFile {

    private final Path file;

    public PortFile(@Value("${port-file}") Path file) {
        this.file = file.toAbsolutePath();
    }

    @EventListener
    void write(ApplicationReadyEvent event) throws IOException {
        String port = event.getApplicationContext().getEnvironment().getRequiredProperty("local.server.port");
        Path unfinished = Files.writeString(file.resolveSibling(file.getFileName() + ".unfinished"), port);
        Files.move(unfinished, file, StandardCopyOption.ATOMIC_MOVE);
    }
}
