package login

import (
	"context"
	"fmt"
)

// refineNaver refuses an answer that is about nobody: Naver says so inside.
// Naver does not say of an address whether it was verified, so it never is.
func refineNaver(_ context.Context, _ string, claims map[string]any) error {
	if code, _ := claims["resultcode"].(string); code != "00" {
		return badUserinfo(fmt.Errorf("resultcode %.10q", code))
	}
	if user, ok := claims["response"].(map[string]any); ok {
		delete(user, "email_verified")
	}
	return nil
}
