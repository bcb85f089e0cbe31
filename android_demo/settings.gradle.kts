// SPDX-License-Identifier: Apache-2.0
pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}

dependencyResolutionManagement {
    repositoriesMode = RepositoriesMode.FAIL_ON_PROJECT_REPOS
    repositories {
        google()
        mavenCentral()
    }
}

rootProject.name = "android_demo"
include(":core", ":answerer", ":coroutines", ":app", ":testing")

// -Paccelerated: it brings LiteRT 2, which the demo does without.
if (providers.gradleProperty("accelerated").isPresent) include(":accelerated")
