// SPDX-License-Identifier: Apache-2.0
import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.android.library)
}

android {
    namespace = "distilbert.mobile.answerer"
    compileSdk =
        libs.versions.target.sdk
            .get()
            .toInt()

    defaultConfig {
        minSdk =
            libs.versions.min.sdk
                .get()
                .toInt()
        consumerProguardFiles("consumer-rules.pro")
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }

    testOptions.unitTests {
        isIncludeAndroidResources = true
        all { it.systemProperty("golden.folder", rootDir.resolve("../tests/contract")) }
    }
}

kotlin {
    compilerOptions {
        jvmTarget = JvmTarget.JVM_11
        // In continuous integration: a newer SDK may bring warnings that must not stop an app.
        allWarningsAsErrors = providers.gradleProperty("warnings.as.errors").isPresent
    }
}

dependencies {
    api(project(":core"))
    implementation(libs.litert)
    // An app that takes this module alone has no module of helpers, and runs no tests of ours.
    findProject(":testing")?.let { testImplementation(it) }
    testImplementation(libs.junit)
    testImplementation(libs.robolectric)
}
