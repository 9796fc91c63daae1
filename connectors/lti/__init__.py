"""An LTI 1.3 Advantage tool: login and launch, registration, deep linking, grades and memberships."""
