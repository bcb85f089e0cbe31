// SPDX-License-Identifier: Apache-2.0
import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.kotlin.jvm)
    `java-library`
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
    api(project(":core"))
    api(libs.coroutines)
    // An app that takes this module alone has no module of helpers, and runs no tests of ours.
    findProject(":testing")?.let { testImplementation(it) }
    testImplementation(libs.junit)
}

tasks.test {
    systemProperty("golden.folder", rootDir.resolve("../tests/contract"))
}
