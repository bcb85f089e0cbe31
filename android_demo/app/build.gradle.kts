// SPDX-License-Identifier: Apache-2.0
import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.android.application)
}

android {
    namespace = "distilbert.mobile.app"
    compileSdk =
        libs.versions.target.sdk
            .get()
            .toInt()

    defaultConfig {
        applicationId = "distilbert.mobile.app"
        minSdk =
            libs.versions.min.sdk
                .get()
                .toInt()
        targetSdk =
            libs.versions.target.sdk
                .get()
                .toInt()
        versionCode = 1
        versionName = "0.1.0"
        testInstrumentationRunner = "androidx.test.runner.AndroidJUnitRunner"
        // Devices, and emulators on a PC.
        ndk.abiFilters += listOf("arm64-v8a", "x86_64")
    }

    // The model is mapped from the APK, which a compressed one cannot be.
    androidResources.noCompress += "tflite"

    // Libraries stay in the APK, uncompressed and aligned to pages of 16 KB.
    packaging.jniLibs.useLegacyPackaging = false

    // ./gradlew :app:assembleRelease -Prelease.keystore=FILE -Prelease.alias=NAME, and the passwords
    // in ~/.gradle/gradle.properties.
    providers.gradleProperty("release.keystore").orNull?.let { keystore ->
        signingConfigs.create("release") {
            storeFile = file(keystore)
            storePassword = providers.gradleProperty("release.store.password").get()
            keyAlias = providers.gradleProperty("release.alias").get()
            keyPassword = providers.gradleProperty("release.key.password").get()
        }
    }

    buildTypes.release {
        isMinifyEnabled = true
        isShrinkResources = true
        proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"))
        // Without a key of your own the release stays unsigned: a store refuses the debug key.
        signingConfig = signingConfigs.findByName("release")
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
    implementation(project(":answerer"))
    testImplementation(project(":testing"))
    testImplementation(libs.junit)
    testImplementation(libs.robolectric)
    androidTestImplementation(libs.junit)
    androidTestImplementation(libs.test.runner)
}
