"""The programs that GitHub's Ubuntu runner brings along, so far as a `run` may miss them on another machine.

Source: actions/runner-images, images/ubuntu/Ubuntu2404-Readme.md.
"""

from __future__ import annotations

DOCKER = frozenset({"docker", "docker-compose", "podman", "buildah", "skopeo", "nerdctl"})
PACKAGES = frozenset(
    {"apt", "apt-get", "aptitude", "dpkg", "yum", "dnf", "apk", "pacman", "zypper", "snap", "brew", "choco", "winget", "scoop"}
)
BROUGHT = frozenset(
    """
    ansible ant autoconf automake aws az azcopy bazel bazelisk bicep bison bundle bundler bzip2 cabal cargo chromedriver clang
    clang++ clang-format clang-tidy cmake composer conda corepack curl dotnet erl fastlane file firefox flex fly g++ gcc gcloud
    geckodriver gem gfortran gh ghc git git-lfs go google-chrome gradle groovy hatch helm java javac jq julia kind kotlin
    kubectl kustomize lerna lldb lz4 m4 make maven mercurial minikube msbuild mvn mysql mysqladmin mysqldump n newman ninja node
    npm npx nvm openssl packer parallel parcel patch patchelf perl pg_dump php phpunit pip pip3 pipx pkg-config pnpm psql pulumi
    pwsh python python3 R rake rclone redis-cli rsync ruby rustc rustfmt rustup sbt shellcheck sphinxsearch sqlite3 ssh sshpass
    stack strace sudo svn swift swig systemctl tar terraform tree unzip upx vcpkg wget xmllint xorriso xvfb-run xz yamllint yarn
    yq zip zstd
    """.split()  # noqa: SIM905  a list of a hundred quoted words is harder to read
)
