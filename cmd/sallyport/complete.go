package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/gateway/config"
)

// complete tells shells what the flags of a command take, where that can be known.
func complete(cmd *cobra.Command) {
	register := func(flag string, how cobra.CompletionFunc) {
		if f := cmd.Flag(flag); f != nil && f.Value.Type() != "bool" {
			_ = cmd.RegisterFlagCompletionFunc(flag, how) // it fails for a command that has one already
		}
	}
	register("config", files("yaml", "yml"))
	register("identities", files("yaml", "yml"))
	if cmd.Name() == "dev" {
		register("policy", files("yaml", "yml"))
		return // a --route of it is a new one
	}
	register("route", configured(func(c *config.Config) (names []string) {
		for _, r := range c.Routes {
			names = append(names, r.Name)
		}
		return names
	}))
	register("policy", configured(func(c *config.Config) (names []string) {
		for _, p := range c.Policies {
			names = append(names, p.Name)
		}
		return names
	}))
	register("provider", configured(func(c *config.Config) (names []string) {
		for _, p := range c.Login.Providers {
			names = append(names, p.Name)
		}
		return names
	}))
	register("issuer", configured(func(c *config.Config) (names []string) {
		for _, i := range c.Tokens.Issuers {
			names = append(names, i.Issuer)
		}
		return names
	}))
}

func files(endings ...string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return endings, cobra.ShellCompDirectiveFilterFileExt
	}
}

// configured completes with names of the configuration that the command would use. One
// that can't be read offers none: a shell has no place for faults.
func configured(names func(*config.Config) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		file := "config.yaml"
		if f := cmd.Flag("config"); f != nil && f.Value.String() != "" {
			file = f.Value.String()
		}
		cfg, err := config.Load(file, os.Environ())
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names(cfg), cobra.ShellCompDirectiveNoFileComp
	}
}
