// SPDX-License-Identifier: Apache-2.0
import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.kotlin.jvm)
}

java {
    sourceCompatibility = JavaVersion.VERSION_11
    targetCompatibility = JavaVersion.VERSION_11
}

kotlin {
    compilerOptions {
        jvmTarget = JvmTarget.JVM_11
        freeCompilerArgs.add("-Xjdk-release=11")
        // In continuous integration: a newer SDK may bring warnings that must not stop an app.
        allWarningsAsErrors = providers.gradleProperty("warnings.as.errors").isPresent
    }
}

dependencies {
    // An app that takes this module alone has no module of helpers, and runs no tests of ours.
    findProject(":testing")?.let { testImplementation(it) }
    testImplementation(libs.jna)
    testImplementation(libs.junit)
    testImplementation(libs.r8)
}

tasks.test {
    val golden = rootDir.resolve("../tests/contract")
    if (golden.isDirectory) inputs.dir(golden)
    systemProperty("golden.folder", golden)
    systemProperty("model.folder", rootDir.resolve("../build/embedded/tflite"))
    providers.gradleProperty("litert.library").orNull?.let { systemProperty("litert.library", it) }
    testLogging.showStandardStreams = true
}
