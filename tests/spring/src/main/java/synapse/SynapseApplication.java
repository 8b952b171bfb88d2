package synapse;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;

/** Synapse, as far as notifications go: from Redis into the table, and on to the browsers. */
@SpringBootApplication
public class SynapseApplication {

    public static void main(String[] arguments) {
        SpringApplication.run(SynapseApplication.class, arguments);
    }
}
