package login

import "context"

// refineKakao makes the verified address of two claims: Kakao says of an address
// whether it was verified, and whether it still belongs to this account.
func refineKakao(_ context.Context, _ string, claims map[string]any) error {
	account, ok := claims["kakao_account"].(map[string]any)
	if !ok {
		return nil // the user did not agree to share anything
	}
	valid, _ := account["is_email_valid"].(bool)
	verified, _ := account["is_email_verified"].(bool)
	account["email_verified"] = valid && verified
	return nil
}
