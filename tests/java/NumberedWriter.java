import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;

/**
 * NumberedWriter LIBRARY FIRST COUNT PER_SECOND LOGGER…: writes the records FIRST to FIRST + COUNT - 1 to each logger
 * through log4j2, log4j1 or logback, as the configuration says that the library's own system property names.
 * PER_SECOND of each number and logger, 0: as fast as it can. Every 1000th record has a stack trace of several lines.
 * Each line of the standard input is a number: records below it may be written. At its end all may.
 */
public class NumberedWriter {
    interface Log {
        void write(String message, Throwable thrown);
    }

    static Log open(String library, String logger) {
        if (library.equals("log4j2")) {
            var log = org.apache.logging.log4j.LogManager.getLogger(logger);
            return (message, thrown) -> {
                if (thrown == null) log.info(message); else log.error(message, thrown);
            };
        }
        if (library.equals("log4j1")) {
            var log = org.apache.log4j.Logger.getLogger(logger);
            return (message, thrown) -> {
                if (thrown == null) log.info(message); else log.error(message, thrown);
            };
        }
        var log = org.slf4j.LoggerFactory.getLogger(logger);
        return (message, thrown) -> {
            if (thrown == null) log.info(message); else log.error(message, thrown);
        };
    }

    /** Returns once compression in the background is done. */
    static void shutDown(String library) {
        if (library.equals("log4j2")) {
            org.apache.logging.log4j.LogManager.shutdown();
        } else if (library.equals("log4j1")) {
            org.apache.log4j.LogManager.shutdown();
        } else {
            ((ch.qos.logback.classic.LoggerContext) org.slf4j.LoggerFactory.getILoggerFactory()).stop();
        }
    }

    private static int bound;

    private static synchronized void setBound(int below) {
        bound = below;
        NumberedWriter.class.notifyAll();
    }

    private static synchronized void await(int i) throws InterruptedException {
        while (i >= bound) {
            NumberedWriter.class.wait();
        }
    }

    private static void readBounds() {
        new BufferedReader(new InputStreamReader(System.in)).lines().forEach(line -> setBound(Integer.parseInt(line)));
        setBound(Integer.MAX_VALUE);
    }

    public static void main(String[] args) throws Exception {
        String library = args[0];
        int first = Integer.parseInt(args[1]);
        int count = Integer.parseInt(args[2]);
        int perSecond = Integer.parseInt(args[3]);
        List<Log> logs = new ArrayList<>();
        for (int i = 4; i < args.length; i++) {
            logs.add(open(library, args[i]));
        }
        Thread reading = new Thread(NumberedWriter::readBounds);
        reading.setDaemon(true);
        reading.start();
        long begun = System.nanoTime();
        for (int i = first; i < first + count; i++) {
            await(i);
            boolean traced = i % 1000 == 999;
            String message = traced ? "record " + i + " with a trace"
                : "record " + i + " and some text that makes it as long as lines usually are";
            for (Log log : logs) {
                log.write(message, traced ? new IllegalStateException("number " + i) : null);
            }
            if (perSecond > 0 && i % 10 == 9) {
                long aheadNs = (i + 1 - first) * 1_000_000_000L / perSecond - (System.nanoTime() - begun);
                if (aheadNs > 1_000_000) {
                    Thread.sleep(aheadNs / 1_000_000);
                }
            }
        }
        shutDown(library);
    }
}
