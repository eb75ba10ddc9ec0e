import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * Writes COUNT numbered records through whatever configuration -Dlog4j2.configurationFile names.
 * Every 1000th record has a stack trace of several lines. With PAUSE_EVERY > 0 it rests a moment after so many records.
 */
public class NumberedWriter {
    public static void main(String[] args) throws Exception {
        int count = Integer.parseInt(args[0]);
        int pauseEvery = args.length > 1 ? Integer.parseInt(args[1]) : 0;
        Logger logger = LogManager.getLogger("com.acme.Numbered");
        for (int i = 0; i < count; i++) {
            if (i % 1000 == 999) {
                logger.error("record {} with a trace", i, new IllegalStateException("number " + i));
            } else {
                logger.info("record {} and some text that makes it as long as lines usually are", i);
            }
            if (pauseEvery > 0 && i % pauseEvery == pauseEvery - 1) {
                Thread.sleep(20);
            }
        }
        LogManager.shutdown();
    }
}
