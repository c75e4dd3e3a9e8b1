# A Rails application in one file, with host authorization and Action Cable.
require "action_controller/railtie"
require "action_cable/engine"

class Site < Rails::Application
  config.load_defaults 6.1
  config.root = __dir__
  config.eager_load = false
  config.consider_all_requests_local = true
  config.secret_key_base = "0123456789abcdef" * 4
  config.logger = Logger.new($stderr)
  config.action_cable.cable = { "adapter" => "async" }
  routes.append do
    root to: "home#show"
    post "/note", to: "home#note"
    mount ActionCable.server => "/cable"
  end
end
class HomeController < ActionController::Base
  protect_from_forgery with: :exception
  def show
    render inline: "<!doctype html><p>says <%= request.headers['X-Forwarded-User'] %> at <%= request.base_url %></p><form method=post action=/note><input type=hidden name=authenticity_token value='<%= form_authenticity_token %>'><button>send</button></form>"
  end
  def note
    render plain: "noted at #{request.base_url}"
  end
end
module ApplicationCable
  class Connection < ActionCable::Connection::Base
  end
end
class NewsChannel < ActionCable::Channel::Base
  def subscribed
    transmit({ "news" => "from Action Cable" })
  end
end
Site.initialize!
run Site
