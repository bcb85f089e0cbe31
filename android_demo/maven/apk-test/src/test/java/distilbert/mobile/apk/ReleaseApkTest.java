// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.apk;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;
import static org.junit.Assume.assumeTrue;
import static org.robolectric.Shadows.shadowOf;

import android.app.Activity;
import android.content.ClipboardManager;
import android.content.Intent;
import android.os.Looper;
import android.text.Spanned;
import android.text.style.LineBackgroundSpan;
import android.view.View;
import android.widget.EditText;
import android.widget.TextView;
import java.io.File;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.ZipFile;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.android.controller.ActivityController;

/**
 * Uses the release APK as a person does, on its own model: R8 renames everything but the screens,
 * so the test knows the classes of Android alone. It is Java because the APK's classes hold what
 * R8 left of Kotlin's library.
 */
@RunWith(RobolectricTestRunner.class)
public class ReleaseApkTest {
    private static final String APP = "distilbert.mobile.app";
    private static final String NOTHING = "nothing";
    private static final String LIBRARY = "libtensorflowlite_jni.so";

    /** An answer is a near tie if its score differs by less, and a number is the build's. */
    private static final double SCORE_TOLERANCE = 0.5;

    /** Of so many cases, one may be a near tie, as in the app's own self-test. */
    private static final int CASES_PER_NEAR_TIE = 4;

    private static final long SECONDS = 1_000_000_000L;
    private static final Pattern SCORE = Pattern.compile("(?:Score|Predicted:) (-?[0-9.]+)");

    private Activity screen;

    /** Loads what the APK's native library needs on this machine. */
    @Before
    public void loadRuntime() throws Exception {
        File runtime = new File(System.getProperty("host.runtime"));
        File library = new File(runtime, LIBRARY);
        String missing = "no " + library + ": it is built on x86-64 Linux with gcc";
        if (!library.isFile()) System.out.println("skipped: " + missing);
        assumeTrue(missing, library.isFile());
        try (ZipFile apk = new ZipFile(System.getProperty("release.apk"));
                InputStream packed = apk.getInputStream(apk.getEntry("lib/x86_64/" + LIBRARY))) {
            assertArrayEquals(Files.readAllBytes(library.toPath()), packed.readAllBytes());
        }
        for (String name : List.of("libc", "libm", "libdl", "liblog")) {
            System.load(new File(runtime, name + ".so").getPath());
        }
    }

    @Test
    public void theGoldenCasesComeOutAsInTheBuild() throws Exception {
        String tokenizer = "distilbert.mobile.core.WordPieceTokenizer";
        assertThrows(ClassNotFoundException.class, () -> Class.forName(tokenizer));
        JSONObject model = document("model.json");
        JSONArray cases = document(model.getString("golden")).getJSONArray("cases");
        ActivityController<? extends Activity> controller = openScreen();
        assertFalse(text("problem"), isShown("problem"));

        boolean isClassifier = model.has("labels");
        int nearTies = 0;
        List<String> different = new ArrayList<>();
        for (int place = 0; place < cases.length(); place++) {
            JSONObject one = cases.getJSONObject(place);
            JSONObject expected =
                    one.getJSONObject("answers").getJSONObject(model.getString("default"));
            String wanted = isClassifier ? classOf(one, expected) : spanOf(one, expected);
            String found = isClassifier ? classify(one) : answer(one);
            if (found.equals(wanted)) continue;
            if (expected.has("value") && isNear(expected.getDouble("value"))) continue;
            boolean isTie = !isClassifier && isNear(expected.getDouble("score"));
            String said = found + " instead of " + wanted + (isTie ? ", a near tie" : "");
            System.out.println("release APK: " + said);
            if (isTie) nearTies++;
            else different.add(said);
        }
        System.out.printf(
                "release APK: %d golden cases, %d near ties, %d differ%n",
                cases.length(), nearTies, different.size());
        assertTrue("no golden cases", cases.length() > 0);
        assertEquals(List.of(), different);
        assertTrue(nearTies + " near ties", nearTies * CASES_PER_NEAR_TIE <= cases.length());
        controller.pause().stop().destroy();
    }

    /** The launcher's activity, and the screen that it opens, once the model is ready or refused. */
    private ActivityController<? extends Activity> openScreen() throws Exception {
        Activity start = Robolectric.buildActivity(activity(APP + ".StartActivity")).create().get();
        Intent next = shadowOf(start).getNextStartedActivity();
        ActivityController<? extends Activity> controller =
                Robolectric.buildActivity(activity(next.getComponent().getClassName()), next);
        screen = controller.setup().get();
        waitForModel();
        return controller;
    }

    private static Class<? extends Activity> activity(String name) throws ClassNotFoundException {
        return Class.forName(name).asSubclass(Activity.class);
    }

    /** Asks a golden question; the answer with its place in the passage, in UTF-16 units. */
    private String answer(JSONObject one) throws JSONException {
        type("passage", one.getString("context"));
        type("question", one.getString("question"));
        ask(one.getString("context"), one.getString("question"));
        if (!isShown("copy")) return NOTHING;
        Spanned passage = (Spanned) this.<EditText>view("passage").getText();
        Object[] marks = passage.getSpans(0, passage.length(), LineBackgroundSpan.class);
        assertEquals("marks", 1, marks.length);
        int start = passage.getSpanStart(marks[0]);
        int end = passage.getSpanEnd(marks[0]);
        assertEquals(copied(), passage.subSequence(start, end).toString());
        return words(copied(), start, end);
    }

    private static String spanOf(JSONObject one, JSONObject expected) throws JSONException {
        String text = expected.getString("text");
        if (text.isEmpty()) return NOTHING;
        // Files count code points.
        String passage = one.getString("context");
        int start = passage.offsetByCodePoints(0, expected.getInt("start"));
        int end = passage.offsetByCodePoints(0, expected.getInt("end"));
        return words(text, start, end);
    }

    private static String words(String text, int start, int end) {
        return "\"" + text + "\" [" + start + ", " + end + ")";
    }

    /** Classifies a golden text; the class, or the number that is predicted. */
    private String classify(JSONObject one) throws JSONException {
        type("text", one.getString("text"));
        if (isShown("pair")) type("pair", one.getString("pair"));
        ask(one.getString("text"));
        return isShown("copy") ? copied() : NOTHING;
    }

    private static String classOf(JSONObject one, JSONObject expected) throws JSONException {
        if (one.getString("text").isBlank()) return NOTHING;
        if (expected.has("label")) return expected.getString("label");
        return String.format(Locale.ROOT, "Predicted: %.2f", expected.getDouble("value"));
    }

    /** Presses the button and waits; the screen has to refuse blank texts, and no others. */
    private void ask(String... texts) {
        view("ask").performClick();
        waitForModel();
        boolean isBlank = List.of(texts).stream().anyMatch(String::isBlank);
        assertEquals(text("problem"), isBlank, isShown("problem"));
    }

    private boolean isNear(double expected) {
        Matcher score = SCORE.matcher(text("details") + "\n" + text("answer"));
        return score.find()
                && Math.abs(Double.parseDouble(score.group(1)) - expected) < SCORE_TOLERANCE;
    }

    private String copied() {
        view("copy").performClick();
        ClipboardManager clipboard = screen.getSystemService(ClipboardManager.class);
        return clipboard.getPrimaryClip().getItemAt(0).getText().toString();
    }

    private void type(String field, String text) {
        EditText view = view(field);
        view.setText(text);
        assertEquals(text, view.getText().toString());
    }

    private void waitForModel() {
        waitUntil(() -> !isShown("progress"));
    }

    private void waitUntil(BooleanSupplier isDone) {
        long end = System.nanoTime() + 300 * SECONDS;
        do {
            assertTrue("the model needs too long", System.nanoTime() < end);
            shadowOf(Looper.getMainLooper()).idle();
            LockSupport.parkNanos(5_000_000);
        } while (!isDone.getAsBoolean());
    }

    private String text(String name) {
        return this.<TextView>view(name).getText().toString();
    }

    private boolean isShown(String name) {
        View view = view(name);
        return view != null && view.isShown();
    }

    /** By its name: the numbers are those of the APK's resources, whatever was compiled here. */
    private <V extends View> V view(String name) {
        return screen.findViewById(screen.getResources().getIdentifier(name, "id", APP));
    }

    /** A file of the APK's assets. */
    private static JSONObject document(String name) throws Exception {
        try (InputStream file =
                RuntimeEnvironment.getApplication().getAssets().open("model/" + name)) {
            return new JSONObject(new String(file.readAllBytes(), StandardCharsets.UTF_8));
        }
    }
}
